package service

import (
	"path"
	"slices"
	"strings"
)

// The names in an Erlang command line that say nothing about the service: boot
// scripts that every system has, and modules that only start something else.
var (
	erlangBoots   = []string{"start", "start_clean", "start_sasl", "start_erl", "no_dot_erlang"}
	erlangModules = []string{
		"application", "crypto", "elixir", "erlang", "error_logger", "escript", "httpd", "inets",
		"init", "io", "kernel", "logger", "mnesia", "observer", "runtime_tools", "sasl", "ssl", "sync",
	}
	erlangTools = []string{"mix", "iex", "rebar", "rebar3", "erlang.mk", "elixir"}
)

// knownModules are modules whose server has another name.
var knownModules = map[string]string{"rabbit": "rabbitmq"}

// erlangServer returns the name of the application that an Erlang virtual machine
// runs: its release (-progname, -boot), the module that is started (-s, -run), the
// script (-extra), the node (-sname, -name), or the directory of a build tool.
func erlangServer(p process, _ string) string {
	flags, extra := erlangFlags(p.args)
	for _, value := range flags["-progname"] {
		if name := path.Base(value); name != "erl" && name != "." {
			return name
		}
	}
	for _, value := range flags["-boot"] {
		if name := strings.TrimSuffix(path.Base(value), ".boot"); !slices.Contains(erlangBoots, name) {
			return name
		}
	}
	for _, module := range append(flags["-s"], flags["-run"]...) {
		if known, ok := knownModules[module]; ok {
			return known
		}
		if !slices.Contains(erlangModules, module) && !isGeneric(module) {
			return module
		}
	}
	if name := erlangScript(extra, p.cwd); name != "" {
		return name
	}
	for _, node := range append(flags["-sname"], flags["-name"]...) {
		if name, _, _ := strings.Cut(node, "@"); name != "" {
			return name
		}
	}
	return "erlang"
}

// erlangScript returns the name of what comes after -extra: a script, or a tool
// that runs what is in its directory. Options there belong to the script.
func erlangScript(extra []string, cwd string) string {
	for _, arg := range extra {
		switch {
		case strings.HasPrefix(arg, "-"):
		case slices.Contains(erlangTools, path.Base(arg)):
			if path.IsAbs(cwd) && cwd != "/" {
				return scriptName(cwd)
			}
			return ""
		case path.IsAbs(arg) || cwd == "":
			return scriptName(arg)
		default:
			return scriptName(path.Join(cwd, arg))
		}
	}
	return ""
}

// erlangFlags parses a command line as init does. It returns each flag with the
// first value of each occurrence, and the plain arguments after -extra.
func erlangFlags(args []string) (flags map[string][]string, extra []string) {
	flags = make(map[string][]string)
	for i := 1; i < len(args); i++ {
		if args[i] == "-extra" {
			return flags, args[i+1:]
		}
		if strings.HasPrefix(args[i], "-") && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			flags[args[i]] = append(flags[args[i]], args[i+1])
		}
	}
	return flags, nil
}
