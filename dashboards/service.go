package dashboards

// cpuProfile is the type of Pyroscope's CPU profile.
const cpuProfile = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

// service shows one service in detail.
func service() *Dashboard {
	longer := textVariable("longer", "Longer than", "Show only example traces that took longer than this, for example 250ms", "0ms")
	return newDashboard(uidService, "Lapwing / 2 Service",
		"One service: its phases and their parts, whether requests wait because workers are busy, its slowest routes, and example traces. Click a trace to open it.",
		[]Variable{prometheusVariable, tempoVariable, pyroscopeVariable, hostVariable, serviceVariable, longer},
		block{"", 4, 4, overview()},
		block{"Phases and their parts", 2, 9, []*Panel{phasesOfService(), partsOfService()}},
		block{"Queue and workers", 3, 9, []*Panel{queueAgainstWorkers(), backlogFill(), backlogDrops()}},
		block{"Routes", 1, 8, []*Panel{slowRoutes()}},
		block{"Example traces", 3, 9, examples()},
		block{"Profiles", 1, 12, []*Panel{cpuFlameGraph()}},
	)
}

func phasesOfService() *Panel {
	p := phasesOfAll()
	p.Links = nil
	return p.onward(toWorkers, toRequest)
}

func partsOfService() *Panel {
	return stacked("What do the phases consist of?",
		"Mean time per request in each part of a phase. queue backlog: waiting for accept. queue dispatch: accepted, waiting for a worker. parse client_wait: waiting for a slow client to send. write_back blocked: waiting for a slow client to read. drain: after the response, until the client's kernel has received it.",
		"s", graph(each(sum(rate(partSum, chosen), "phase", "part"), sum(rate(requestCount, chosen))), "{{phase}} {{part}}")).onward(toWorkers)
}

func queueAgainstWorkers() *Panel {
	p := lines("Do requests wait because all workers are busy?",
		"Workers by state, and the number of requests that wait (in the listen backlog, or accepted and unread). The dashed line, on the right axis, is the mean queue time. If requests wait while workers are available, the server is slow to hand them over. If requests wait and no worker is available, there are too few workers.",
		"none",
		graph(sum(workers+chosen, "state"), "workers {{state}}"),
		graph(sum(dispatchLength+chosen), "waiting, accepted"),
		graph(sum(backlogLength+chosen), "waiting, backlog"),
		graph(sum(rate(phaseSum, where(`phase="queue"`)))+" / "+sum(rate(phaseCount, where(`phase="queue"`))), "mean queue time"))
	return p.rightAxis("D", "s").onward(toWorkers)
}

func backlogFill() *Panel {
	return lines("How full is the listen backlog?",
		"Connections that wait for accept, and the maximum that can wait, per listening socket. At the limit, the kernel drops connection attempts.",
		"none",
		graph(sum(backlogLength+chosen, "address"), "{{address}} waiting"),
		graph(sum(backlogLimit+chosen, "address"), "{{address}} limit")).onward(toWorkers)
}

func backlogDrops() *Panel {
	return lines("Are connection attempts dropped?",
		"Connection attempts per second that were dropped because the backlog was full. Clients retry after a second or more. They see a slow request, and no server log shows it.",
		"cps", graph(sum(rate(backlogDropped, chosen), "address"), "{{address}}")).onward(toWorkers)
}

func slowRoutes() *Panel {
	labels := []string{"http_route", "http_request_method"}
	p := table("Which routes are slowest?",
		"The ten routes with the highest 95th percentile over the time range. Routes come from the path templates in Lapwing's configuration. Requests that match no template are in the row without a route. Click a row for traces of that route.",
		"s",
		column("topk(10, "+quantile("0.95", growth(requestBuckets, chosen), labels...)+")"),
		column(sum(growth(requestCount, chosen), labels...)+" / $__range_s"),
		column(orZeroPer(sum(growth(requestCount, where(`error_type!=""`)), labels...), sum(growth(requestCount, chosen), labels...))))
	p.columns(labels, []string{"p95", "requests/s", "failed"})
	p.Options["sortBy"] = []object{{"displayName": "p95", "desc": true}}
	return p.field("requests/s", Property{"unit", "reqps"}).field("failed", Property{"unit", "percentunit"}).
		follow(to(uidRequest, "Traces of ${__data.fields.http_route}", keepHost, keepService,
			`var-condition=span.http.route = "${__data.fields.http_route}"`))
}

// orZeroPer returns the share of some in all, 0 if there are none.
func orZeroPer(some, all string) string { return "(" + some + " or 0 * " + all + ") / " + all }

// ofService is a TraceQL condition: the requests of the chosen service.
const ofService = `resource.service.name = "$service"`

func examples() []*Panel {
	details := ` | select(span.http.request.method, span.url.path, span.http.response.status_code)`
	return []*Panel{
		examplesOf("Which requests took long?", "Traces of requests that took longer than the limit above.",
			`{ `+ofService+` && kind = server && duration > $longer }`+details),
		examplesOf("Which requests waited long for a worker?", "Traces of requests whose queue phase alone was longer than the limit above.",
			`{ `+ofService+` && name = "queue" && duration > $longer }`),
		examplesOf("Which requests failed?", "Traces of requests with a status of 500 or above, or without a complete response. Lapwing keeps failed requests, regardless of sampling.",
			`{ `+ofService+` && kind = server && status = error }`+details),
	}
}

// examplesOf returns a table of traces, each with a link to its dashboard.
func examplesOf(question, reading, query string) *Panel {
	return table(question, reading+" Click a trace to see its phases. Traces are sampled, so a request can have no trace.", "none", traces(query)).
		field("traceID", Property{"links", []Link{toThisTrace}}).onward(toRequest)
}

func cpuFlameGraph() *Panel {
	p := newPanel("flamegraph", "Which code uses the CPU?",
		"CPU time of the service's workers by function. A wider bar is more time. This panel needs Pyroscope and an agent that sends profiles to it; otherwise it is empty.",
		"ns", []Target{{Source: Pyroscope, QueryType: "profile", ProfileTypeID: cpuProfile, LabelSelector: `{service_name="$service"}`, GroupBy: []string{}}})
	return p.onward(toWorkers)
}
