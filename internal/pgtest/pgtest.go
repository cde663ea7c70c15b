// Package pgtest runs a PostgreSQL server for tests: a real one, in a folder that
// goes with it, on a random port of loopback.
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ErrNone means that this machine has no PostgreSQL.
var ErrNone = errors.New("no PostgreSQL is installed: deploy/postgres/install.sh does that")

// Server is a server that runs.
type Server struct {
	bin, dir string
	port     int
	as       *syscall.Credential
	cmd      *exec.Cmd
	made     atomic.Int64
}

// Bin is the folder of the newest PostgreSQL's programs, or ErrNone.
func Bin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is well formed
	if len(found) == 0 {
		return "", ErrNone
	}
	version := func(p string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p)))) // 0: the oldest
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

// Start makes a server and waits until it answers. It refuses to be root's, so
// root starts it as another user.
func Start() (s *Server, err error) {
	s = &Server{}
	if s.bin, err = Bin(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "pgtest-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start PostgreSQL: %w", err), os.RemoveAll(s.dir))
		}
	}()
	if os.Getuid() == 0 {
		if s.as, err = nobody(); err != nil {
			return nil, err
		}
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run("initdb", "-D", data, "--username=pecrawler", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.port = ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	return s, s.Restart()
}

// Run starts a server for a test and ends it with the test, which is skipped
// where there is no PostgreSQL.
func Run(t testing.TB) *Server {
	t.Helper()
	s, err := Start()
	if errors.Is(err, ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// nobody is the user that a server runs as whose tests run as root.
func nobody() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
	}
	return nil, errors.New("root needs a user postgres or nobody to start it as")
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return cmd
}

func (s *Server) run(name string, args ...string) error {
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// Restart starts a server that was stopped or killed.
func (s *Server) Restart() error {
	var said bytes.Buffer
	s.cmd = s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-c", "listen_addresses=127.0.0.1", "-p", strconv.Itoa(s.port),
		"-c", "unix_socket_directories="+s.dir, "-c", "log_min_messages=fatal", "-c", "timezone=UTC")
	s.cmd.Stderr = &said
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 600 {
		if s.run("psql", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "pecrawler", "-d", "postgres", "-c", "SELECT 1") == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.Join(errors.New("it does not answer"), s.Kill(), errors.New(said.String()))
}

// Kill ends the server as a crash does.
func (s *Server) Kill() error {
	err := s.cmd.Process.Signal(syscall.SIGQUIT)
	s.cmd.Wait() // its status is that of a crash
	return err
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error { return errors.Join(s.Kill(), os.RemoveAll(s.dir)) }

// URL is where a database of the server is.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("pecrawler"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Database makes an empty database and returns where it is.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", s.made.Add(1))
	if err := s.run("createdb", "-h", s.dir, "-p", strconv.Itoa(s.port), "-U", "pecrawler", name); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}
