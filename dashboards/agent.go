package dashboards

import (
	"strings"

	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
)

// agentHealth shows the cost of the agent and what it does not see.
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
		lines("How much CPU does the agent use?", "CPUs used by the agent, per host: 0.01 is one percent of one CPU. The time of the probes in the kernel is charged to the servers and is not included.",
			"percentunit", graph(sum(rate(processCPU, itself), "instance"), "{{instance}}")).follow(toAgentOf()),
		lines("How much memory does the agent hold?", "Resident memory of the agent, per host. The configuration limits it, so it must level off.",
			"bytes", graph(sum(processMemory+itself, "instance"), "{{instance}}")).follow(toAgentOf()),
		lines("How many label sets does it keep?", "Label sets of the request metrics in use, per host; metrics.max_label_sets is the limit. Requests beyond the limit, per second, are counted without their attributes.",
			"none",
			graph(sum(agentLabelSets+hosts, "instance"), "{{instance}} sets"),
			graph(sum(rate(agentOverflow, hosts), "instance"), "{{instance}} requests beyond the limit")).follow(toAgentOf()),
	}
}

func losses() []*Panel {
	return []*Panel{
		number("What share of the requests was lost?", "Share of finished requests that did not reach an exporter, over the time range. If it is above 0, rates and sums are too low by that share.",
			"percentunit", column(orZero(sum(growth(agentLost, hosts)))+" / ("+sum(growth(agentRequests, hosts))+" + "+orZero(sum(growth(agentLost, hosts)))+")")).steps([]float64{0.000001, 0.01}).onward(toWhere),
		stacked("Why are requests lost?", "Lost requests per second by cause. "+causesOf(health.Lost)+" Empty if nothing is lost.",
			"reqps", graph(sum(rate(agentLost, hosts), "instance", "cause"), "{{instance}} {{cause}}")).follow(toAgentOf()),
		stacked("Which requests did not reach a receiver?", "Requests per second that did not reach a destination, by exporter and cause. Metrics are cumulative and lose nothing. Empty if nothing is dropped.",
			"reqps", graph(sum(rate(agentDropped, hosts), "instance", "exporter", "cause"), "{{instance}} {{exporter}} {{cause}}")).follow(toAgentOf()),
	}
}

func coverage() []*Panel {
	return []*Panel{
		lines("What share of the requests has all phases?", "Share of requests whose start, end and phases were all measured. The others are counted, but are in no phase metric.",
			"percentunit", graph("1 - ("+sum(rate(agentUntimed, hosts))+" + "+sum(rate(agentUnsplit, hosts))+") / "+sum(rate(agentRequests, hosts)), "whole")).to(1).onward(toWhere),
		stacked("Which connections could not be read?", "Connections per second with an unknown protocol, by reason, and those that became tunnels. Encrypted connections are included unless a TLS probe reads them.",
			"cps",
			graph(sum(rate(agentUnknown, hosts), "reason"), "{{reason}}"),
			graph(sum(rate(agentTunnels, hosts)), "tunnels")).onward(toWhere),
		lines("Which requests were not measured completely?", "Requests that were in flight when the agent started, by how far they were, over the time range; and requests per second that ended without a complete response.",
			"none",
			graph(sum(agentMissed+hosts, "cause"), "missed at the start: {{cause}}"),
			graph(sum(rate(agentIncomplete, hosts)), "incomplete per second")).onward(toWhere),
	}
}

func agents() *Panel {
	p := table("Which hosts have an agent, and what does it see?", "One row per host, over the time range: measured requests, lost requests, and the current memory of the agent. Click a host to see its services.",
		"none",
		column(sum(growth(agentRequests, hosts), "instance")),
		column(sum(growth(agentLost, hosts), "instance")+" or 0 * "+sum(growth(agentRequests, hosts), "instance")),
		column(sum(processMemory+itself, "instance")))
	p.columns([]string{"instance"}, []string{"requests", "lost", "memory"})
	return p.field("memory", Property{"unit", "bytes"}).
		follow(to(uidWhere, "Services of ${__data.fields.instance}", "var-host=${__data.fields.instance}"))
}

// toAgentOf returns a link from a line of one host to the agent of that host.
func toAgentOf() Link {
	return to(uidAgent, "Agent of ${__field.labels.instance}", "var-host=${__field.labels.instance}")
}

// causesOf explains the causes of a counter.
func causesOf(c *health.Counter) string {
	var all []string
	for _, cause := range c.Causes {
		all = append(all, cause.Name+": "+cause.Plain())
	}
	return strings.Join(all, " ")
}
