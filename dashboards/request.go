package dashboards

// oneRequest shows a single trace, and what surrounded it.
func oneRequest() *Dashboard {
	trace := textVariable("trace", "Trace", "The identifier of a trace as Tempo lists it, which is without leading zeros", "")
	condition := textVariable("condition", "Condition", `Which traces are listed: a condition in TraceQL, for instance span.http.route = "/orders/{id}"`, "true")
	return newDashboard(uidRequest, "Lapwing / 4 One request",
		"One request: its trace, how long each of its phases was, and what its server was doing at that moment.",
		[]Variable{prometheusVariable, tempoVariable, hostVariable, serviceVariable, trace, condition},
		block{"The request", 1, 14, []*Panel{traceView()}},
		block{"", 2, 8, []*Panel{traceRequests(), tracePhases()}},
		block{"Its surroundings: choose a time range of a few minutes around it", 3, 8, surroundings()},
		block{"Others like it", 1, 9, []*Panel{listed()}},
	)
}

func traceView() *Panel {
	p := newPanel("traces", "Where did this request spend its time?",
		"The spans of the trace named above. Below each request are its phases: queue, parse, app, write_back; they touch each other and add up to it. Requests to servers behind this one are below app.",
		"ns", []Target{spans("${trace}")})
	return p.onward(toService)
}

// ofTrace is a TraceQL condition: spans of the trace that was chosen.
const ofTrace = `trace:id = "$trace"`

func traceRequests() *Panel {
	return table("What was asked, and what was answered?", "The requests of this trace, one per server that it passed, with what they asked for and the answer.",
		"none", spans(`{ `+ofTrace+` && kind = server } | select(resource.service.name, span.http.request.method, span.url.path, span.http.response.status_code, span.process.pid, span.thread.id, span.network.peer.address)`)).
		onward(toWorkers)
}

func tracePhases() *Panel {
	return table("How long was each phase, and what was it made of?",
		"The phases of each request in the trace, with their parts in seconds. A part that was not measured is left out.",
		"none", spans(`{ `+ofTrace+` && name =~ "queue|parse|app|write_back" } | select(resource.service.name, span.lapwing.queue.backlog, span.lapwing.queue.dispatch, span.lapwing.parse.client_wait, span.lapwing.write_back.blocked, span.lapwing.write_back.produce)`)).
		onward(toService)
}

func surroundings() []*Panel {
	workload := lines("How busy was the server?", "Requests that workers were on, and requests that waited for one, during the time range.",
		"none",
		graph(sum(activeRequests+chosen), "worked on"),
		graph(sum(dispatchLength+chosen)+" + "+sum(backlogLength+chosen), "waiting")).onward(toWorkers)
	processors := stacked("What used the processors?", "Processors in use on the chosen hosts by the workers of each service, and by the agent.",
		"none", graph(sum(rate(processCPU, hosts), "service_name"), "{{service_name}}")).onward(toWorkers)
	return []*Panel{workersByState().onward(toWorkers), workload, processors}
}

func listed() *Panel {
	return examplesOf("Which other requests are like it?", "Traces of the service that fulfil the condition above.",
		`{ `+ofService+` && kind = server && $condition } | select(span.http.request.method, span.url.path, span.http.response.status_code)`)
}
