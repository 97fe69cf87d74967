package dashboards

// whereTheTimeGoes is the first dashboard to look at: is it slow, in which
// phase, in which service.
func whereTheTimeGoes() *Dashboard {
	return newDashboard(uidWhere, "Lapwing / 1 Where the time goes",
		"Overview of all services: how slow they are, and in which phase requests spend their time. Click a service to open its dashboard.",
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
		number("How many requests are answered?", "Finished requests per second, of all selected services together. Sampling does not affect this number.",
			"reqps", graph(requests, "requests")).onward(toService),
		number("What share of the requests fails?", "Share of requests with a status of 500 or above, or without a complete response. Green below 1 %, red at 5 % and above.",
			"percentunit", graph(orZero(sum(rate(requestCount, where(`error_type!=""`))))+" / "+requests, "failed")).from(0).steps([]float64{0.01, 0.05}).onward(toService),
		number("How slow are the slowest 1 % of the requests?", "99 % of the requests took at most this long, from the first byte in the server's socket to the last byte handed to the kernel. Estimated from histogram buckets.",
			"s", graph(quantile("0.99", rate(requestBuckets, chosen)), "p99")).onward(toService),
		number("What share of the time is waiting for a worker?", "The queue phase as a share of the total request time. At 25 % and above, more workers or shorter requests help more than faster code.",
			"percentunit", graph(sum(rate(phaseSum, where(`phase="queue"`)))+" / "+sum(rate(phaseSum, chosen)), "queue")).from(0).to(1).steps([]float64{0.25, 0.5}).onward(toWorkers),
	}
}

func phasesOfAll() *Panel {
	return stacked("Where does the time of a request go?",
		"Mean time per request in each phase; the height of the stack is the mean duration. queue: waiting for a worker to read the request. parse: reading the request, including a slow client. app: computing the response. write_back: handing the response to the kernel.",
		"s", graph(each(sum(rate(phaseSum, chosen), "phase"), sum(rate(requestCount, chosen))), "{{phase}}")).onward(toService)
}

func shareOfPhases() *Panel {
	p := stacked("Which phase dominates in each service?",
		"Seconds of request time per second, by service and phase. A value of 1 is one request in progress on average: a service at 8 always has eight requests in that phase.",
		"none", graph(sum(rate(phaseSum, chosen), "service_name", "phase"), "{{service_name}} {{phase}}"))
	return p.follow(toThisService)
}

func slowServices() *Panel {
	phase := func(name string) Target {
		selector := where(`phase="` + name + `"`)
		return column(sum(growth(phaseSum, selector), "service_name") + " / " + sum(growth(phaseCount, selector), "service_name"))
	}
	p := table("Which service is slow, and in which phase?",
		"One row per service, over the time range: requests per second, the 95th percentile of the duration, and the mean time in each phase. Click a service to open its dashboard.",
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
		"Distribution of request durations: darker is more requests. If one band moves up, all requests get slower. A second band above the first means that some requests are slow. Dots are requests with a trace: click one to open it.",
		"s", heat(sum("increase("+requestBuckets+chosen+perStep+")", "le"))).onward(toService)
}

var phaseQuestions = []struct{ phase, question, reading string }{
	{"queue", "How long do requests wait for a worker?", "Time from the arrival of the request in the socket to the first read. It is the first phase to grow when all workers are busy."},
	{"parse", "How long does reading requests take?", "Time from the first read of a request to the last, including the wait for a slow client."},
	{"app", "How long does the application compute?", "Time from the last read of the request to the first byte of the response."},
	{"write_back", "How long does writing the response take?", "Time from the first write of the response to the last. Slow clients and streamed responses increase it."},
}

func phaseQuantiles() (panels []*Panel) {
	for _, q := range phaseQuestions {
		buckets := rate(phaseBuckets, where(`phase="`+q.phase+`"`))
		panels = append(panels, lines(q.question, q.reading+" p50 is the median; 5 % of the requests are above p95, and 1 % above p99. Estimated from histogram buckets.", "s",
			graph(quantile("0.5", buckets, "phase"), "{{phase}} p50"),
			graph(quantile("0.95", buckets, "phase"), "{{phase}} p95"),
			graph(quantile("0.99", buckets, "phase"), "{{phase}} p99")).onward(toService))
	}
	return panels
}

func ratePerService() *Panel {
	return stacked("How many requests does each service answer?", "Finished requests per second, by service.",
		"reqps", graph(sum(rate(requestCount, chosen), "service_name"), "{{service_name}}")).follow(toThisService)
}

func ratePerStatus() *Panel {
	return stacked("Which statuses do they return?", "Finished requests per second, by status. Requests without a response have no status.",
		"reqps", graph(sum(rate(requestCount, chosen), "http_response_status_code"), "{{http_response_status_code}}")).onward(toService)
}

func errorsPerService() *Panel {
	return stacked("What fails where?", "Failed requests per second, by service and error: a status of 500 or above, or the reason why the connection broke. Empty if nothing fails.",
		"reqps", graph(sum(rate(requestCount, where(`error_type!=""`)), "service_name", "error_type"), "{{service_name}} {{error_type}}")).follow(toThisService)
}
