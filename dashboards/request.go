package dashboards

// oneRequest shows a single trace and its context.
func oneRequest() *Dashboard {
	trace := textVariable("trace", "Trace", "The trace ID as Tempo lists it, without leading zeros", "")
	condition := textVariable("condition", "Condition", `Condition for the listed traces, in TraceQL, for example span.http.route = "/orders/{id}"`, "true")
	return newDashboard(uidRequest, "Lapwing / 4 One request",
		"One request: its trace, the duration of each phase, and what its server was doing at that time.",
		[]Variable{prometheusVariable, tempoVariable, hostVariable, serviceVariable, trace, condition},
		block{"The request", 1, 14, []*Panel{traceView()}},
		block{"", 2, 8, []*Panel{traceRequests(), tracePhases()}},
		block{"What happened around it: choose a time range of a few minutes", 3, 8, surroundings()},
		block{"Similar requests", 1, 9, []*Panel{listed()}},
	)
}

func traceView() *Panel {
	p := newPanel("traces", "Where did this request spend its time?",
		"The spans of the trace that is selected above. Below each request are its phases: queue, parse, app, write_back. They follow each other and add up to the duration of the request. Requests to downstream servers are below app.",
		"ns", []Target{spans("${trace}")})
	return p.onward(toService)
}

// ofTrace is a TraceQL condition: the spans of the chosen trace.
const ofTrace = `trace:id = "$trace"`

func traceRequests() *Panel {
	return table("What was requested, and what was the response?", "The requests of this trace, one per server, with their method, path and status.",
		"none", spans(`{ `+ofTrace+` && kind = server } | select(resource.service.name, span.http.request.method, span.url.path, span.http.response.status_code, span.process.pid, span.thread.id, span.network.peer.address)`)).
		onward(toWorkers)
}

func tracePhases() *Panel {
	return table("How long was each phase, and what does it consist of?",
		"The phases of each request in the trace, with their parts in seconds. A part that was not measured is omitted.",
		"none", spans(`{ `+ofTrace+` && name =~ "queue|parse|app|write_back" } | select(resource.service.name, span.lapwing.queue.backlog, span.lapwing.queue.dispatch, span.lapwing.parse.client_wait, span.lapwing.write_back.blocked, span.lapwing.write_back.produce)`)).
		onward(toService)
}

func surroundings() []*Panel {
	workload := lines("How busy was the server?", "Requests that workers were processing, and requests that waited for a worker, during the time range.",
		"none",
		graph(sum(activeRequests+chosen), "worked on"),
		graph(sum(dispatchLength+chosen)+" + "+sum(backlogLength+chosen), "waiting")).onward(toWorkers)
	processors := stacked("What used the CPUs?", "CPUs used on the selected hosts by the workers of each service, and by the agent.",
		"none", graph(sum(rate(processCPU, hosts), "service_name"), "{{service_name}}")).onward(toWorkers)
	return []*Panel{workersByState().onward(toWorkers), workload, processors}
}

func listed() *Panel {
	return examplesOf("Which other requests are similar?", "Traces of the service that match the condition above.",
		`{ `+ofService+` && kind = server && $condition } | select(span.http.request.method, span.url.path, span.http.response.status_code)`)
}
