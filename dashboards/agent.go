package dashboards

import (
	"strings"

	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
)

// agentHealth shows what the agent costs and what it does not see.
func agentHealth() *Dashboard {
	return newDashboard(uidAgent, "Lapwing / 5 Agent health",
		"The agent itself: what it costs, what it lost, and how much of the traffic it measures.",
		[]Variable{prometheusVariable, hostVariable},
		block{"Cost", 3, 7, cost()},
		block{"Losses", 3, 8, losses()},
		block{"Coverage", 3, 8, coverage()},
		block{"Hosts", 1, 9, []*Panel{agents()}},
	)
}

const itself = `{instance=~"$host",service_name="` + metrics.AgentService + `"}`

func cost() []*Panel {
	return []*Panel{
		lines("How much CPU does the agent use?", "Processors in use by the agent per host: 0.01 is one per cent of one processor. The probes' own time in the kernel is on the account of the servers and not in here.",
			"percentunit", graph(sum(rate(processCPU, itself), "instance"), "{{instance}}")).follow(toAgentOf()),
		lines("How much memory does the agent hold?", "Resident memory of the agent per host. It is bounded by configuration: it must level off.",
			"bytes", graph(sum(processMemory+itself, "instance"), "{{instance}}")).follow(toAgentOf()),
		lines("How many sets of labels does it keep?", "Series of requests in use per host, against metrics.max_label_sets, and how many requests per second came on top and were counted without their attributes.",
			"none",
			graph(sum(agentLabelSets+hosts, "instance"), "{{instance}} sets"),
			graph(sum(rate(agentOverflow, hosts), "instance"), "{{instance}} requests beyond the limit")).follow(toAgentOf()),
	}
}

func losses() []*Panel {
	return []*Panel{
		number("What share of the requests was lost?", "Finished requests that never reached an exporter, of all, over the time range. Anything above 0 means that rates and sums are too low by that share.",
			"percentunit", column(orZero(sum(growth(agentLost, hosts)))+" / ("+sum(growth(agentRequests, hosts))+" + "+orZero(sum(growth(agentLost, hosts)))+")")).steps([]float64{0.000001, 0.01}).onward(toWhere),
		stacked("Why are requests lost?", "Lost requests per second by cause. "+causesOf(health.Lost)+" Empty while nothing is lost.",
			"reqps", graph(sum(rate(agentLost, hosts), "instance", "cause"), "{{instance}} {{cause}}")).follow(toAgentOf()),
		stacked("What did the receivers not get?", "Requests per second that a destination did not get, by exporter and cause. Metrics are cumulative and lose nothing. Empty while nothing is dropped.",
			"reqps", graph(sum(rate(agentDropped, hosts), "instance", "exporter", "cause"), "{{instance}} {{exporter}} {{cause}}")).follow(toAgentOf()),
	}
}

func coverage() []*Panel {
	return []*Panel{
		lines("What share of the requests has all phases?", "Requests whose begin, end and all moments between were seen. What is missing here is in the counts, but in no phase.",
			"percentunit", graph("1 - ("+sum(rate(agentUntimed, hosts))+" + "+sum(rate(agentUnsplit, hosts))+") / "+sum(rate(agentRequests, hosts)), "whole")).to(1).onward(toWhere),
		stacked("Which connections could not be read?", "Connections per second that spoke no known protocol, by reason, and those that became tunnels. Encrypted ones are among them where no TLS probe reads along.",
			"cps",
			graph(sum(rate(agentUnknown, hosts), "reason"), "{{reason}}"),
			graph(sum(rate(agentTunnels, hosts)), "tunnels")).onward(toWhere),
		lines("Which requests were not measured, or not to their end?", "Requests over the time range that were in flight when the agent started, by how far they were, and per second those that ended without a complete response.",
			"none",
			graph(sum(agentMissed+hosts, "cause"), "missed at the start: {{cause}}"),
			graph(sum(rate(agentIncomplete, hosts)), "incomplete per second")).onward(toWhere),
	}
}

func agents() *Panel {
	p := table("Which hosts have an agent, and what does it see?", "One row per host over the time range: measured requests, lost requests, and the agent's memory now. Click a host to see its services.",
		"none",
		column(sum(growth(agentRequests, hosts), "instance")),
		column(sum(growth(agentLost, hosts), "instance")+" or 0 * "+sum(growth(agentRequests, hosts), "instance")),
		column(sum(processMemory+itself, "instance")))
	p.columns([]string{"instance"}, []string{"requests", "lost", "memory"})
	return p.field("memory", Property{"unit", "bytes"}).
		follow(to(uidWhere, "Services of ${__data.fields.instance}", "var-host=${__data.fields.instance}"))
}

// toAgentOf is a link from a line of one host to that host's agent alone.
func toAgentOf() Link {
	return to(uidAgent, "Agent of ${__field.labels.instance}", "var-host=${__field.labels.instance}")
}

// causesOf tells what the causes of a counter mean.
func causesOf(c *health.Counter) string {
	var all []string
	for _, cause := range c.Causes {
		all = append(all, cause.Name+": "+cause.Plain())
	}
	return strings.Join(all, " ")
}
