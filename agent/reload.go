package agent

import (
	"slices"
	"strings"
	"time"

	"lapwing/agent/config"
	"lapwing/collectors/route"
	"lapwing/exporters/otlp"
	"lapwing/exporters/otlp/sampling"
)

// reloadable are the keys, or the groups of keys, that Reload applies. All
// other keys affect what is attached, opened or dropped at the start.
var reloadable = []string{"services", "routes", "health.log_interval", "log.level", "export.otlp.sampling"}

// Reload applies the changes of a new configuration that are possible while the
// agent runs. It returns the changed keys that it applied, and those that take
// effect at the next start. It may run concurrently with Run, but not with
// itself. The owner of the logger applies log.level.
func (a *Agent) Reload(next config.Config) (applied, later []string, err error) {
	routes, err := route.New(next.Routes)
	if err != nil {
		return nil, nil, err
	}
	for _, key := range config.Differences(a.reloaded, next) {
		if slices.ContainsFunc(reloadable, func(known string) bool { return key == known || strings.HasPrefix(key, known+".") }) {
			applied = append(applied, key)
		} else {
			later = append(later, key)
		}
	}
	if slices.Contains(applied, "services") {
		if err := a.services.SetRules(next.Services); err != nil {
			return nil, nil, err
		}
	}
	if slices.Contains(applied, "services") || slices.Contains(applied, "routes") {
		a.routes.Store(routes)
	}
	a.logEvery.Store(int64(next.Health.LogInterval))
	if slices.ContainsFunc(applied, func(key string) bool { return strings.HasPrefix(key, "export.otlp.sampling") }) {
		a.sample(next.Export.OTLP.Sampling)
	}
	a.keepReloaded(next)
	return applied, later, nil
}

// keepReloaded notes the values in force, so that a key which waits for the
// next start is reported again at the next reload.
func (a *Agent) keepReloaded(next config.Config) {
	a.reloaded.Services, a.reloaded.Routes, a.reloaded.Health = next.Services, next.Routes, next.Health
	a.reloaded.Log.Level, a.reloaded.Export.OTLP.Sampling = next.Log.Level, next.Export.OTLP.Sampling
}

func (a *Agent) sample(c sampling.Config) {
	for _, t := range a.tracers {
		if traces, ok := t.to.(*otlp.Exporter); ok {
			traces.SetSampling(c)
		}
	}
}

func (a *Agent) logInterval() time.Duration { return time.Duration(a.logEvery.Load()) }
