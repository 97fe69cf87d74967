package service

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// server returns the identity of one of a program's masters, with its application.
func server(name string, master uint32, app string) *Identity {
	return &Identity{Name: name, Kind: name, Source: FromProgram, Instance: "here", Master: master, masterStart: 7, app: app}
}

func newPools() *pools { return &pools{families: map[familyKey]*family{}} }

func TestOneServerKeepsItsName(t *testing.T) {
	p := newPools()
	one := server("gunicorn", 10, "shop")
	require.Equal(t, "gunicorn", p.name(one, 8001, nil))
	require.Equal(t, "gunicorn", p.name(one, 8002, nil), "one master, two sockets")
	require.Equal(t, "gunicorn", p.name(server("gunicorn", 11, "shop"), 8002, nil), "one socket: it hands over")
	require.Equal(t, "nginx", p.name(server("nginx", 12, ""), 80, nil))
}

func TestTwoServersOfOneProgram(t *testing.T) {
	p := newPools()
	shop, blog := server("gunicorn", 10, "shop"), server("gunicorn", 20, "blog")
	p.name(shop, 8001, nil)
	require.Equal(t, "gunicorn:blog", p.name(blog, 8002, nil))
	require.Equal(t, "gunicorn:shop", p.name(shop, 8001, nil))
	require.Equal(t, "gunicorn:8003", p.name(server("gunicorn", 30, "blog"), 8003, nil), "the application has two servers")
	require.Equal(t, "gunicorn:blog", p.name(blog, 8002, nil), "a name stays")
	require.Equal(t, "gunicorn:blog", p.name(blog, 0, nil), "known by its master")

	p = newPools()
	p.name(server("uwsgi", 10, "app"), 0, []byte("/run/a.sock"))
	require.Equal(t, "uwsgi:b.sock", p.name(server("uwsgi", 20, "app"), 0, []byte("/run/b.sock")))
	require.Equal(t, "uwsgi:a.sock", p.name(server("uwsgi", 10, "app"), 0, nil))
	require.Equal(t, "uwsgi", p.name(server("uwsgi", 30, "app"), 0, nil), "nothing tells it yet")
}

func TestServerThatIsStartedAnew(t *testing.T) {
	p := newPools()
	old := server("gunicorn", 10, "shop")
	p.name(old, 8001, nil)
	require.Equal(t, []master{{10, 7}}, p.mastersOf(old.family()))
	p.bury(old.family(), map[master]bool{{10, 7}: false})
	require.Len(t, p.mastersOf(old.family()), 1)
	p.bury(old.family(), map[master]bool{{10, 7}: true})
	require.Equal(t, "gunicorn", p.name(server("gunicorn", 20, "shop"), 8005, nil), "at another port, and the old one is gone")
}

// TestProcessesOfOneParent has processes with a socket each, as mod_fcgid does.
func TestProcessesOfOneParent(t *testing.T) {
	p := newPools()
	for pid := range uint32(5) {
		id := server("php-cgi", 100+pid, "")
		id.origin, id.cwd = originOf(process{ppid: 7, args: []string{"/usr/bin/php-cgi"}}), "/srv/"+string('a'+byte(pid%2))
		require.Equal(t, "php-cgi", p.name(id, 0, []byte{'/', 'a' + byte(pid)}))
	}
	other := server("php-cgi", 200, "")
	other.origin = originOf(process{ppid: 8, args: []string{"/usr/bin/php-cgi"}})
	require.Equal(t, "php-cgi:z", p.name(other, 0, []byte("/z")))

	p = newPools()
	for pid, want := range []string{"gunicorn", "gunicorn", "gunicorn:8002"} {
		id := server("gunicorn", 300+uint32(pid), "")
		id.origin, id.cwd = "7 gunicorn -c conf.py", []string{"/srv/shop", "/srv/shop", "/srv/blog"}[pid]
		require.Equal(t, want, p.name(id, 8000+uint16(pid), nil), "a supervisor starts it in two directories")
	}
}

func TestReplicasAreOneService(t *testing.T) {
	p := newPools()
	a, b := server("shop-cart", 10, ""), server("shop-cart", 20, "")
	a.Source, b.Source, b.Instance = FromContainer, FromContainer, "there"
	p.name(a, 80, nil)
	require.Equal(t, "shop-cart", p.name(b, 81, nil))
	b.Instance = a.Instance
	require.Equal(t, "shop-cart:82", p.name(b, 82, nil), "two servers in one container")
	a.Source = FromRule
	require.Equal(t, "shop-cart", p.name(a, 80, nil), "whoever writes a rule has decided")
}

// TestPoolsOfPHP has one master with two pools. The titles of its workers show the
// pool.
func TestPoolsOfPHP(t *testing.T) {
	for title, want := range map[string]string{
		"php-fpm: pool www": "www", "php-fpm8.2: pool api_v2": "api_v2", "php-fpm: master process (/etc/php-fpm.conf)": "",
		"nginx: pool www": "",
	} {
		require.Equal(t, want, poolOf(process{args: []string{title}}), title)
	}
	r := fixture(t, nil)
	require.Equal(t, "php8.2-fpm:www", r.Lookup(102, "").Name)
	require.Equal(t, "php-fpm", r.Lookup(102, "").Kind)
}

func TestApplications(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/bin/python3 /usr/bin/gunicorn -b 127.0.0.1:8000 -w 4 shop.wsgi:application":                                    "shop",
		"/usr/bin/python3 /usr/bin/gunicorn -b 127.0.0.1:8000 -n blue shop.wsgi":                                             "blue",
		"/usr/bin/python3 -m uvicorn --port 8000 blog:create_app()":                                                          "blog",
		"uwsgi --ini /etc/uwsgi/apps-enabled/tickets.ini":                                                                    "tickets",
		"/usr/sbin/nginx -c /srv/edge.conf":                                                                                  "edge",
		"java -Dcatalina.base=/srv/t/orders -Dcatalina.home=/usr/share/tomcat10 org.apache.catalina.startup.Bootstrap start": "orders",
		"/usr/bin/node /srv/app.js":                                                                                          "",
	} {
		require.Equal(t, want, applicationOf(process{args: strings.Fields(line)}), line)
	}
	require.Equal(t, "shop", applicationOf(process{args: []string{"gunicorn: worker [shop.wsgi:app]"}}))
	require.Equal(t, "checkout", applicationOf(process{args: []string{"puma: cluster worker 0: 4711 [checkout]"}}))
}

func TestFilterOfAPool(t *testing.T) {
	id := server("gunicorn", 10, "shop")
	fpm := server("php8.2-fpm:www", 20, "")
	for _, tt := range []struct {
		glob string
		id   *Identity
		want bool
	}{
		{"gunicorn", id, true}, {"gunicorn:shop", id, true}, {"gunicorn:80", id, true}, {"gunicorn:81", id, false}, {"gunicorn:blog", id, false},
		{"php8.2-fpm", fpm, true}, {"php8.2-fpm:www", fpm, true}, {"php8.2-fpm:api", fpm, false}, {"php*", fpm, true}, {"*:www", fpm, true},
	} {
		f := Filter{Services: []string{tt.glob}}
		require.Equal(t, tt.want, f.Match(10, 80, tt.id), "%s on %s", tt.glob, tt.id.Name)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { (&Filter{Services: []string{"gun*"}}).Match(10, 80, id) }))
	p := newPools()
	p.name(id, 80, nil)
	require.Zero(t, testing.AllocsPerRun(100, func() { p.name(id, 80, nil) }))
}
