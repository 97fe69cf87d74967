package dashboards

// whereTheTimeGoes is the first look: is it slow, which phase, which service.
func whereTheTimeGoes() *Dashboard {
	return newDashboard(uidWhere, "Lapwing / 1 Where the time goes",
		"All services at a glance: how slow they are, and in which phase of a request the time goes. Click a service to go on.",
		[]Variable{prometheusVariable, hostVariable, servicesVariable},
		block{"", 4, 4, overview()},
		block{"Which phase, which service", 2, 9, []*Panel{phasesOfAll(), slowServices()}},
		block{"", 2, 9, []*Panel{durationHeatMap(), shareOfPhases()}},
		block{"Each phase", 2, 8, phaseQuantiles()},
		block{"Rates and errors", 3, 8, []*Panel{ratePerService(), ratePerStatus(), errorsPerService()}},
	)
}

func overview() []*Panel {
	requests := sum(rate(requestCount, chosen))
	return []*Panel{
		number("How many requests are answered?", "Finished requests per second, of all chosen services together. Sampling does not touch this number.",
			"reqps", graph(requests, "requests")).onward(toService),
		number("What share of the requests fails?", "Requests answered with a status from 500 on or without a complete response, of all requests. Green below 1 %, red from 5 % on.",
			"percentunit", graph(orZero(sum(rate(requestCount, where(`error_type!=""`))))+" / "+requests, "failed")).from(0).steps([]float64{0.01, 0.05}).onward(toService),
		number("How slow is the slowest hundredth?", "99 % of the requests took at most this long, from the first byte in the server's socket to the last byte handed to the kernel. Estimated from buckets.",
			"s", graph(quantile("0.99", rate(requestBuckets, chosen)), "p99")).onward(toService),
		number("What share of the time is waiting for a worker?", "The queue phase as a share of all request time. From a quarter on, more workers or shorter requests help more than faster code.",
			"percentunit", graph(sum(rate(phaseSum, where(`phase="queue"`)))+" / "+sum(rate(phaseSum, chosen)), "queue")).from(0).to(1).steps([]float64{0.25, 0.5}).onward(toWorkers),
	}
}

func phasesOfAll() *Panel {
	return stacked("Where does the time of a request go?",
		"Mean time per request in each phase; the height of the stack is the mean duration. queue: nobody had picked the request up. parse: reading it, a slow client included. app: computing the response. write_back: handing the response to the kernel.",
		"s", graph(each(sum(rate(phaseSum, chosen), "phase"), sum(rate(requestCount, chosen))), "{{phase}}")).onward(toService)
}

func shareOfPhases() *Panel {
	p := stacked("Which phase dominates in each service?",
		"Seconds of request time per second, by service and phase. One unit is one request in progress on the average: a service at 8 has eight of them in that phase all the time.",
		"none", graph(sum(rate(phaseSum, chosen), "service_name", "phase"), "{{service_name}} {{phase}}"))
	return p.follow(toThisService)
}

func slowServices() *Panel {
	phase := func(name string) Target {
		selector := where(`phase="` + name + `"`)
		return column(sum(growth(phaseSum, selector), "service_name") + " / " + sum(growth(phaseCount, selector), "service_name"))
	}
	p := table("Which service is slow, and in which phase?",
		"One row per service over the whole time range: requests per second, the duration that 95 % stay below, and the mean time in each phase. Click a service to go to its dashboard.",
		"s",
		column(sum(growth(requestCount, chosen), "service_name")+" / $__range_s"),
		column(quantile("0.95", growth(requestBuckets, chosen), "service_name")),
		phase("queue"), phase("parse"), phase("app"), phase("write_back"))
	p.columns([]string{"service_name"}, []string{"requests/s", "p95", "queue", "parse", "app", "write_back"})
	p.Options["sortBy"] = []object{{"displayName": "p95", "desc": true}}
	return p.field("requests/s", Property{"unit", "reqps"}).follow(toRowService)
}

func durationHeatMap() *Panel {
	return heatMap("Are some requests slow, or all of them?",
		"How many requests took how long: darker is more. One band that moves up is everything getting slower; a second band above is some requests being slow. Dots are requests with a trace: click one.",
		"s", heat(sum("increase("+requestBuckets+chosen+perStep+")", "le"))).onward(toService)
}

var phaseQuestions = []struct{ phase, question, reading string }{
	{"queue", "How long do requests wait for a worker?", "Time between the request's arrival in the socket and the read that picked it up. It grows first when workers run out."},
	{"parse", "How long does reading requests take?", "Time from the first read to the last one of a request, waiting for a slow client included."},
	{"app", "How long does the application compute?", "Time between the request having been read and the first byte of the response."},
	{"write_back", "How long does handing over the response take?", "Time from the first write of the response to the last one. Slow readers and streamed responses make it long."},
}

func phaseQuantiles() (panels []*Panel) {
	for _, q := range phaseQuestions {
		buckets := rate(phaseBuckets, where(`phase="`+q.phase+`"`))
		panels = append(panels, lines(q.question, q.reading+" p50: half of the requests stay below, p95 and p99: all but 5 % and 1 %. Estimated from buckets.", "s",
			graph(quantile("0.5", buckets, "phase"), "{{phase}} p50"),
			graph(quantile("0.95", buckets, "phase"), "{{phase}} p95"),
			graph(quantile("0.99", buckets, "phase"), "{{phase}} p99")).onward(toService))
	}
	return panels
}

func ratePerService() *Panel {
	return stacked("Which service answers how many requests?", "Finished requests per second and service.",
		"reqps", graph(sum(rate(requestCount, chosen), "service_name"), "{{service_name}}")).follow(toThisService)
}

func ratePerStatus() *Panel {
	return stacked("What do they answer?", "Finished requests per second and status. Requests without a response have none.",
		"reqps", graph(sum(rate(requestCount, chosen), "http_response_status_code"), "{{http_response_status_code}}")).onward(toService)
}

func errorsPerService() *Panel {
	return stacked("What fails where?", "Failed requests per second, by service and kind: a status from 500 on, or what broke the connection. Empty while nothing fails.",
		"reqps", graph(sum(rate(requestCount, where(`error_type!=""`)), "service_name", "error_type"), "{{service_name}} {{error_type}}")).follow(toThisService)
}
