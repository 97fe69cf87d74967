package service

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// interpreter is a program whose name says nothing about the service. What it was
// told to run does.
type interpreter struct {
	name string // of the family; used if there is no better name
	// prefixes of the executable's name: python matches python3.11.
	prefixes []string
	// valued are options that are followed by a value.
	valued []string
	// module are options whose value names what runs: python -m, java -jar.
	module []string
	// inline are options whose value is the code itself.
	inline []string
	// dotted says that a class or module path runs, not a file.
	dotted bool
	// find returns the name of what runs, if the command line has rules of its own.
	find func(p process, target string) string
}

var interpreters = []*interpreter{
	{
		name: "python", prefixes: []string{"python", "pypy"},
		valued: []string{"-W", "-X", "--check-hash-based-pycs"},
		module: []string{"-m"}, inline: []string{"-c"},
	},
	{
		name: "node", prefixes: []string{"node", "nodejs"},
		valued: []string{"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file"},
		inline: []string{"-e", "--eval", "-p", "--print"},
	},
	{
		name: "ruby", prefixes: []string{"ruby"},
		valued: []string{"-I", "-r", "-C", "-E"}, inline: []string{"-e"},
	},
	{
		name: "perl", prefixes: []string{"perl"},
		valued: []string{"-I"}, inline: []string{"-e", "-E"},
	},
	{
		name: "php", prefixes: []string{"php"},
		valued: []string{"-c", "-d", "-S", "-t", "-z"}, module: []string{"-f"}, inline: []string{"-r"},
	},
	{
		name: "java", prefixes: []string{"java"}, dotted: true,
		valued: []string{"-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens", "--add-exports", "--add-reads"},
		module: []string{"-jar", "-m", "--module"}, find: javaServer,
	},
	{ // starts Java daemons
		name: "java", prefixes: []string{"jsvc"}, dotted: true,
		valued: []string{"-cp", "-classpath", "-home", "-java-home", "-cwd", "-user", "-outfile", "-errfile", "-pidfile", "-procname", "-wait", "-jvm", "-umask"},
		find:   javaServer,
	},
	{name: "erlang", prefixes: []string{"beam.smp", "beam"}, find: erlangServer},
	{
		name: "sh", prefixes: []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"},
		valued: []string{"-o", "+o", "-O", "+O", "--rcfile", "--init-file"}, inline: []string{"-c"},
	},
	{name: "dotnet", prefixes: []string{"dotnet"}, module: []string{"exec"}, valued: []string{"--depsfile", "--runtimeconfig", "--additionalprobingpath", "--fx-version", "--roll-forward"}},
	{name: "mono", prefixes: []string{"mono", "mono-sgen"}},
	{
		name: "deno", prefixes: []string{"deno"}, module: []string{"run", "serve"},
		inline: []string{"eval"}, valued: []string{"-c", "--config", "-L", "--log-level", "--host", "--port"},
	},
	{name: "bun", prefixes: []string{"bun"}, module: []string{"run"}, inline: []string{"-e", "--eval", "-p", "--print"}, valued: []string{"-r", "--preload", "-c", "--config", "--cwd"}},
	{name: "lua", prefixes: []string{"lua", "luajit"}, valued: []string{"-l"}, inline: []string{"-e"}},
	{name: "tcl", prefixes: []string{"tclsh"}},
}

// interpreterOf recognises an interpreter by the name of its executable, with or
// without a version: python3.11, ruby3.1, node.
func interpreterOf(base string) *interpreter {
	for _, in := range interpreters {
		for _, prefix := range in.prefixes {
			rest, ok := strings.CutPrefix(base, prefix)
			if ok && strings.Trim(rest, "0123456789.") == "" {
				return in
			}
		}
	}
	return nil
}

// program returns the name of what p runs. It is empty for inline code, for
// standard input, and if it cannot be seen.
func (in *interpreter) program(p process) string {
	if title := p.title(); title != "" {
		return cmp.Or(titleApplication(title), titleProgram(title))
	}
	target := in.target(p.args)
	if in.find != nil {
		if name := in.find(p, target); name != "" {
			return name
		}
	}
	switch {
	case target == "":
		return ""
	case isLoader(target) && path.IsAbs(p.cwd):
		return scriptName(p.cwd)
	case in.dotted && !strings.HasSuffix(target, ".jar"):
		return className(target, p.cwd)
	case path.IsAbs(target) || p.cwd == "":
		return scriptName(target)
	}
	return scriptName(path.Join(p.cwd, target))
}

// target returns what an interpreter was told to run, according to its command
// line.
func (in *interpreter) target(args []string) string {
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case slices.Contains(in.inline, arg):
			return ""
		case slices.Contains(in.module, arg):
			if next := in.operand(args, i+1); next < len(args) {
				return in.moduleTarget(args[next])
			}
			return ""
		case slices.Contains(in.valued, arg):
			i++
		case arg == "--" && i+1 < len(args):
			return args[i+1]
		case !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "@"):
			return arg
		}
	}
	return ""
}

// operand returns the index of the value of a word like "deno run". Options may
// come before it. The value of an option follows it directly.
func (in *interpreter) operand(args []string, at int) int {
	if strings.HasPrefix(args[at-1], "-") {
		return at
	}
	for at < len(args) && strings.HasPrefix(args[at], "-") {
		if slices.Contains(in.valued, args[at]) {
			at++
		}
		at++
	}
	return at
}

// moduleTarget returns what the value of a module option names. Java accepts
// module/class, or a path after -jar.
func (in *interpreter) moduleTarget(name string) string {
	if in.dotted && !strings.HasSuffix(name, ".jar") {
		return name[strings.LastIndexByte(name, '/')+1:]
	}
	return name
}

// generic names say nothing about a service. The directory above them does.
var generic = []string{
	"manage", "app", "main", "server", "index", "wsgi", "asgi", "run", "start", "__main__",
	"src", "bin", "dist", "build", "lib", "public", "current", "releases", "web", "www", "html",
	"bootstrap", "application", "launcher", "jarlauncher", "startup", "target", "cli",
}

// extensions are removed from the name of a service.
var extensions = []string{".py", ".pyc", ".rb", ".ru", ".js", ".mjs", ".cjs", ".ts", ".php", ".pl", ".psgi", ".jar", ".sh", ".dll", ".exe", ".exs", ".escript", ".lua", ".tcl", ".cgi"}

// scriptName returns the name of a script: its file name without the extension, or
// the nearest directory above it with a specific name (/srv/shop/manage.py → shop).
func scriptName(script string) string {
	base := path.Base(script)
	if ext := path.Ext(base); slices.Contains(extensions, ext) {
		base = versionSuffix.ReplaceAllString(strings.TrimSuffix(base, ext), "")
	}
	return specific(append(components(path.Dir(script)), base))
}

// className returns the name of a Java class: its last segment, or the nearest
// segment before it that is specific (com.example.orders.Main → orders), or else
// the name of the working directory.
func className(class, cwd string) string {
	name := specific(strings.Split(class, "."))
	if isGeneric(name) && path.IsAbs(cwd) && cwd != "/" {
		return scriptName(cwd)
	}
	return name
}

// specific returns the last name that is not generic, or else the last one.
func specific(names []string) string {
	for _, name := range slices.Backward(names) {
		if !isGeneric(name) {
			return name
		}
	}
	return names[len(names)-1]
}

// isGeneric reports whether a name says nothing about a service. The number of a
// release (/srv/shop/releases/20240131120000) is generic, too.
func isGeneric(name string) bool {
	return strings.Trim(name, ".0123456789") == "" || slices.Contains(generic, strings.ToLower(name))
}
