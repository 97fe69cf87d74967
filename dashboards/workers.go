package dashboards

// workerPools shows what the workers of a service do.
func workerPools() *Dashboard {
	return newDashboard(uidWorkers, "Lapwing / 3 Workers",
		"The worker pool of a service: what each worker does, whether the pool is large enough, what holds workers, how often workers are replaced, and which resources they use.",
		[]Variable{prometheusVariable, hostVariable, serviceVariable},
		block{"Is the pool large enough?", 4, 5, poolNumbers()},
		block{"", 1, 10, []*Panel{scoreboard()}},
		block{"", 3, 8, []*Panel{workersByState(), utilisation(), heldWorkers()}},
		block{"Their work", 3, 8, []*Panel{recycling(), perWorkerRate(), busyOnCPU()}},
		block{"What they use", 2, 8, []*Panel{workerMemory(), workerProcessor()}},
	)
}

func poolNumbers() []*Panel {
	return []*Panel{
		number("How many workers are there?", "All workers of the service, in any state.", "none", graph(sum(workers+chosen), "workers")).onward(toService),
		number("How many are free?", "Workers without a request that no idle connection holds. At 0, the next request waits.",
			"none", graph(sum(workers+where(`state="available"`)), "free")).onward(toService),
		number("How many were busy at once?", "The most workers that were busy at once since the agent started. If it equals the size of the pool, the pool has been full.",
			"none", graph(sum(workersMaxBusy+chosen), "most busy")).onward(toService),
		number("How many requests are in progress?", "Requests that workers process now. An event loop processes several at once, so this can be above the number of busy workers.",
			"none", graph(sum(activeRequests+chosen), "requests")).onward(toService),
	}
}

func scoreboard() *Panel {
	p := timeline("What was each worker doing?",
		"One row per worker, by process and thread. Green: available. Orange: busy with a request. Red: held by a connection that has no request. All rows orange is a full pool. At most 256 workers of a service have a row.",
		"none", graph("max by (instance, process_pid, thread_id) ("+workerState+chosen+")", "{{instance}} {{process_pid}}/{{thread_id}}"))
	state := func(number, text, color string, index int) object {
		return object{"type": "value", "options": object{number: object{"text": text, "color": color, "index": index}}}
	}
	p.FieldConfig.Defaults.Mappings = []object{
		state("0", "available", "green", 0), state("1", "busy", "orange", 1), state("2", "held", "red", 2),
	}
	return p.onward(toService, toRequest)
}

func workersByState() *Panel {
	return stacked("What are the workers doing?", "Workers by state. The height of the stack is the size of the pool.",
		"none", graph(sum(workers+chosen, "state"), "{{state}}")).onward(toService)
}

func utilisation() *Panel {
	p := lines("How much of the workers' time is used?",
		"Time that workers spent on requests, as a share of the time that they existed. Above 70 to 80 %, waiting times grow steeply. An event loop is busy while it has any request.",
		"percentunit", graph(sum(rate(workerBusy, chosen))+" / "+sum(rate(workerTime, chosen)), "utilisation"))
	return p.to(1).onward(toService)
}

func heldWorkers() *Panel {
	return lines("Do idle connections hold workers?",
		"Workers that are blocked while they read a connection without a request: a kept-alive connection, or one that was opened and sent nothing. Meanwhile they cannot serve other connections.",
		"none", graph(sum(workers+where(`state="held"`)), "held")).onward(toService)
}

func recycling() *Panel {
	return lines("How often are workers replaced?",
		"Workers per second that started, that ended, and that started in place of one that ended. A steady rate is a limit of requests per worker; a burst is a reload or a crash.",
		"cps",
		graph(sum(rate(workerStarted, chosen)), "started"),
		graph(sum(rate(workerEnded, chosen)), "ended"),
		graph(sum(rate(workerRecycled, chosen)), "recycled")).onward(toService)
}

func perWorkerRate() *Panel {
	return lines("How many requests does a worker serve?", "Requests per second, divided by the number of workers.",
		"reqps", graph(sum(rate(workerRequests, chosen))+" / "+sum(workers+chosen), "per worker")).onward(toService)
}

func busyOnCPU() *Panel {
	return lines("Do busy workers compute, or wait?",
		"CPU time of the worker threads, as a share of their busy time. Near 100 %, they compute: more CPUs or faster code help. Near 0, they wait for something: more workers may help.",
		"percentunit", graph(sum(rate(workerCPU, chosen))+" / "+sum(rate(workerBusy, chosen)), "CPU")).onward(toService, toRequest)
}

func workerMemory() *Panel {
	return lines("How much memory does each worker hold?", "Resident memory per worker process. A line that only rises until the worker is replaced indicates a leak.",
		"bytes", graph(sum(processMemory+chosen, "instance", "process_pid"), "{{instance}} {{process_pid}}")).onward(toService)
}

func workerProcessor() *Panel {
	return lines("How much CPU does each worker use?", "CPUs used per worker process: 1 is one CPU all the time.",
		"none", graph(sum(rate(processCPU, chosen), "instance", "process_pid"), "{{instance}} {{process_pid}}")).onward(toService)
}
