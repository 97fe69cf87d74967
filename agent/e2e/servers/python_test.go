package servers

import (
	"os/exec"
	"strconv"
	"time"
)

// application is the WSGI application of the tests, and the code that it shares
// with the applications for other interfaces. It works for the time in the
// path, a tenth of it on the CPU, and records what it did when. Status 599
// kills its process.
const application = `import os, signal, threading, time

_log = os.open("@DIR@/application.log", os.O_WRONLY | os.O_APPEND)

def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass

def asked(path):
    _, _, ms, status, _ = path.split("/")
    return int(ms) / 1000, int(status)

def note(path, status, begin):
    line = f"{path} {status} {begin} {time.monotonic_ns()} {os.getpid()} {threading.get_native_id()}\n"
    os.write(_log, line.encode())

def app(environ, start_response):
    begin = time.monotonic_ns()
    path = environ["PATH_INFO"]
    seconds, status = asked(path)
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length:
        environ["wsgi.input"].read(length)
    spin(seconds / 10)
    time.sleep(seconds * 9 / 10)
    if status == 599:
        os.kill(os.getpid(), signal.SIGKILL)
    body = b"hello from the application\n"
    start_response(f"{status} As Asked", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    note(path, status, begin)
    return [body]
`

// asgiApplication is the same for ASGI, without blocking the loop.
const asgiApplication = `import asyncio, time
from application import asked, note, spin

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    begin = time.monotonic_ns()
    seconds, status = asked(scope["path"])
    spin(seconds / 10)
    await asyncio.sleep(seconds * 9 / 10)
    while (await receive()).get("more_body"):
        pass
    body = b"hello from the application\n"
    note(scope["path"], status, begin)
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
`

const wsgirefShop = `from wsgiref.simple_server import make_server
from application import app

make_server("@HOST@", @PORT@, app).serve_forever()
`

const pasteShop = `from paste.httpserver import serve
from application import app

serve(app, host="@HOST@", port="@PORT@", use_threadpool=True, threadpool_workers=4,
      threadpool_options={"spawn_if_under": 2}, request_queue_size=64)
`

const cherryShop = `import cherrypy
from application import app

cherrypy.config.update({"server.socket_host": "@HOST@", "server.socket_port": @PORT@, "server.thread_pool": 4, "server.socket_queue_size": 64,
                        "engine.autoreload.on": False, "log.screen": False})
cherrypy.tree.graft(app, "/")
cherrypy.engine.signals.subscribe()
cherrypy.engine.start()
cherrypy.engine.block()
`

const waitressShop = `from waitress import serve
from application import app

serve(app, listen="@ADDRESS@", threads=4)
`

// tornadoShop has two applications: one that yields to others while it waits,
// and one that blocks the loop, as real code often does.
const tornadoShop = `import asyncio, sys, time
import tornado.web
from application import asked, note, spin

def answer(handler, status, begin):
    handler.set_status(status, "As Asked")
    handler.write("hello from the application\n")
    note(handler.request.path, status, begin)

class Yielding(tornado.web.RequestHandler):
    async def post(self):
        await self.get()

    async def get(self):
        begin = time.monotonic_ns()
        seconds, status = asked(self.request.path)
        spin(seconds / 10)
        await asyncio.sleep(seconds * 9 / 10)
        answer(self, status, begin)

class Holding(tornado.web.RequestHandler):
    def post(self):
        self.get()

    def get(self):
        begin = time.monotonic_ns()
        seconds, status = asked(self.request.path)
        spin(seconds / 10)
        time.sleep(seconds * 9 / 10)
        answer(self, status, begin)

async def main():
    handler = Holding if sys.argv[1] == "hold" else Yielding
    tornado.web.Application([("/.*", handler)]).listen(@PORT@, "@HOST@")
    await asyncio.Event().wait()

asyncio.run(main())
`

// djangoFiles are a project with one view.
var djangoFiles = []file{
	{"shopsite/manage.py", `import os, sys
sys.path.insert(0, "@DIR@")
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
`},
	{"shopsite/settings.py", `SECRET_KEY = "test"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
MIDDLEWARE = []
INSTALLED_APPS = []
USE_TZ = True
`},
	{"shopsite/urls.py", `import time
from django.http import HttpResponse
from django.urls import re_path
from application import asked, note, spin

def view(request):
    begin = time.monotonic_ns()
    seconds, status = asked(request.path)
    len(request.body)
    spin(seconds / 10)
    time.sleep(seconds * 9 / 10)
    note(request.path, status, begin)
    return HttpResponse("hello from the application\n", status=status, content_type="text/plain")

urlpatterns = [re_path(".*", view)]
`},
}

// gunicornTime is gunicorn's %(D)s: it starts when gunicorn has parsed the
// request and ends after the last write.
var gunicornTime = &serverLog{
	file: "access.log", parse: fields(time.Microsecond), took: fromParsed, within: 3 * time.Millisecond,
	means: "`%(D)s`: app + write_back",
}

func gunicorn(arguments ...string) func(at place) *exec.Cmd {
	return func(at place) *exec.Cmd { return gunicornAt(at, at.address, "access.log", arguments...) }
}

func gunicornAt(at place, bind, log string, arguments ...string) *exec.Cmd {
	return exec.Command("gunicorn", append([]string{"--chdir", at.dir, "--bind", bind,
		"--worker-tmp-dir", at.dir, "--graceful-timeout", "2", "--access-logfile", at.file(log),
		"--access-logformat", "%(U)s %(s)s %(D)s"}, append(arguments, "application:app")...)...)
}

// script returns a command that runs one of the files of the row.
func script(arguments ...string) func(at place) *exec.Cmd {
	return func(place) *exec.Cmd { return exec.Command(python, arguments...) }
}

func uvicorn(loop string) func(at place) *exec.Cmd {
	return func(at place) *exec.Cmd {
		host, port := at.split()
		return exec.Command(python, "-m", "uvicorn", "--host", host, "--port", strconv.Itoa(port),
			"--loop", loop, "--no-access-log", "--log-level", "warning", "asgi:app")
	}
}

var (
	wsgiFile    = file{"application.py", application}
	gunicornPkg = need{"/usr/bin/gunicorn", "gunicorn"}
	uvicornPkg  = pythonModule("uvicorn", "python3-uvicorn")
	tornadoPkg  = pythonModule("tornado", "python3-tornado")
)

func pythonServers() []server {
	return []server{
		{
			name: "wsgiref", service: "wsgiref_shop", workers: 1, path: quickPath, waits: inBacklog, threads: sameThread,
			needs: []need{{python, "python3"}},
			files: []file{wsgiFile, {"wsgiref_shop.py", wsgirefShop}}, command: script("wsgiref_shop.py"),
		},
		{
			name: "Django runserver", service: "shopsite", workers: 4, waits: nowhere, threads: sameThread,
			needs: []need{pythonModule("django", "python3-django")},
			files: append(djangoFiles, wsgiFile),
			command: func(at place) *exec.Cmd {
				return exec.Command(python, "shopsite/manage.py", "runserver", at.address)
			},
		},
		{
			name: "Paste", service: "paste_shop", workers: 4, waits: unread, threads: sameThread,
			needs: []need{pythonModule("paste", "python3-paste")},
			files: []file{wsgiFile, {"paste_shop.py", pasteShop}}, command: script("paste_shop.py"),
		},
		{
			name: "CherryPy", service: "cherry_shop", workers: 4, waits: unread, threads: sameThread,
			needs: []need{pythonModule("cherrypy", "python3-cherrypy3")},
			files: []file{wsgiFile, {"cherry_shop.py", cherryShop}}, command: script("cherry_shop.py"),
		},
		{
			name: "waitress", service: "waitress_shop", workers: 4, waits: inServer, threads: otherThread,
			needs: []need{pythonModule("waitress", "python3-waitress")},
			files: []file{wsgiFile, {"waitress_shop.py", waitressShop}}, command: script("waitress_shop.py"),
			limits: "its main thread reads every request at once: waiting for a worker is part of app",
		},
		{
			name: "gunicorn sync", service: "gunicorn", workers: 4, waits: inBacklog, threads: sameThread,
			needs: []need{gunicornPkg}, files: []file{wsgiFile}, logs: []*serverLog{gunicornTime},
			command: gunicorn("--worker-class", "sync", "--workers", "4"),
		},
		{
			name: "gunicorn gthread", service: "gunicorn", workers: 4, waits: unread, threads: sameThread,
			needs: []need{gunicornPkg}, files: []file{wsgiFile}, logs: []*serverLog{gunicornTime},
			command: gunicorn("--worker-class", "gthread", "--workers", "1", "--threads", "4"),
		},
		{
			name: "gunicorn gevent", service: "gunicorn", workers: 4, waits: nowhere, threads: sameThread,
			needs: []need{gunicornPkg, pythonModule("gevent", "python3-gevent")}, files: []file{wsgiFile}, logs: []*serverLog{gunicornTime},
			command: gunicorn("--worker-class", "gevent", "--workers", "1"),
		},
		{
			name: "uvicorn with uvloop", service: "uvicorn", workers: 4, waits: nowhere, threads: sameThread,
			needs: []need{uvicornPkg, pythonModule("uvloop", "python3-uvloop")},
			files: []file{wsgiFile, {"asgi.py", asgiApplication}}, command: uvicorn("uvloop"),
		},
		{
			name: "uvicorn with asyncio", service: "uvicorn", workers: 4, waits: nowhere, threads: sameThread,
			needs: []need{uvicornPkg}, files: []file{wsgiFile, {"asgi.py", asgiApplication}}, command: uvicorn("asyncio"),
		},
		{
			name: "Tornado", service: "tornado_shop", workers: 4, waits: nowhere, threads: sameThread,
			needs: []need{tornadoPkg}, files: []file{wsgiFile, {"tornado_shop.py", tornadoShop}}, command: script("tornado_shop.py", "yield"),
		},
		{
			name: "Tornado, loop held", service: "tornado_shop", workers: 4, path: quickPath, waits: unreadOrServer, threads: sameThread,
			needs: []need{tornadoPkg}, files: []file{wsgiFile, {"tornado_shop.py", tornadoShop}}, command: script("tornado_shop.py", "hold"),
			limits: "a request is read as soon as the loop turns: waiting for those before it is part of app",
		},
	}
}
