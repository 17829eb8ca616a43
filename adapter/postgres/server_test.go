//go:build unix

package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/llmproxy/llmproxy/adapter/postgres"
)

// server is a Postgres of our own, reachable by a socket in a folder of its own. It
// outlives no test process: it ends with its standard input.
type server struct {
	folder    string
	databases atomic.Int64 // created so far
}

// running is the server that TestMain has started; nil where Postgres is not installed.
var running *server

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	bin, err := binaries()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		fmt.Fprintln(os.Stderr, err)
		return 1
	default:
		return m.Run() // newDatabase says why it skips
	}
	s, stop, err := start(bin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting Postgres:", err)
		return 1
	}
	running = s
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping Postgres:", err)
		return 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// binaries returns the folder of initdb and postgres: of the newest Debian package, else
// where the shell finds them.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
			return n
		}
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("no Postgres is installed (Debian's package postgresql); scripts/postgres.sh installs one")
	}
	return filepath.Dir(path), nil
}

// start makes a cluster and starts its server, as the user postgres or nobody where the
// test is root: Postgres does not run as root.
func start(bin string) (s *server, stop func() error, err error) {
	folder, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	as, err := unprivileged(folder)
	if err != nil {
		return nil, nil, err
	}
	data := filepath.Join(folder, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", data)
	initdb.SysProcAttr, initdb.Dir = as, folder
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	access := "local all secretive scram-sha-256\nlocal all all trust\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(access), 0o644); err != nil {
		return nil, nil, err
	}
	args := []string{
		"-c", `"$@" & cat >/dev/null; kill -QUIT $!; wait $!`, "sh",
		filepath.Join(bin, "postgres"), "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "max_connections=200",
	}
	if flag.Lookup("test.bench").Value.String() == "" {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	sh := exec.Command("/bin/sh", args...)
	sh.SysProcAttr, sh.Dir = as, folder
	stdin, err := sh.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, err := sh.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := sh.Start(); err != nil {
		return nil, nil, err
	}
	var reading sync.WaitGroup
	end := func() error {
		err := stdin.Close()
		reading.Wait()
		var exit *exec.ExitError
		if waited := sh.Wait(); !errors.As(waited, &exit) { // the server was told to leave at once, and says so
			err = errors.Join(err, waited)
		}
		return errors.Join(err, os.RemoveAll(folder))
	}
	log := bufio.NewReader(stderr)
	if err := ready(log); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	reading.Go(func() { io.Copy(io.Discard, log) })
	s = &server{folder: folder}
	if err := s.template(); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return s, end, nil
}

// unprivileged returns how to start a process that is not root's, and gives it folder.
func unprivileged(folder string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(who.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(folder, uid, gid)
}

// ready returns once the server's log says that it serves.
func ready(log *bufio.Reader) error {
	var said strings.Builder
	for {
		line, err := log.ReadString('\n')
		said.WriteString(line)
		if strings.Contains(line, "database system is ready to accept connections") {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the server ended: %w\n%s", err, &said)
		}
	}
}

// template makes the database that tests get copies of. Its language sorts letters as
// people do and not by their bytes, where this Postgres can.
func (s *server) template() error {
	ctx := context.Background()
	err := s.exec(ctx, `CREATE DATABASE ledger TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
	if err != nil {
		err = s.exec(ctx, "CREATE DATABASE ledger TEMPLATE template0")
	}
	if err != nil {
		return err
	}
	store, err := postgres.Open(ctx, s.url("ledger"))
	if err != nil {
		return err
	}
	return store.Close()
}

func (s *server) url(database string) string {
	return "host=" + s.folder + " user=postgres dbname=" + database
}

// exec runs statement in the database postgres.
func (s *server) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// newDatabase returns the URL of a database of the test's own, a copy of template.
func newDatabase(t testing.TB, template string) string {
	t.Helper()
	if running == nil {
		_, err := binaries()
		t.Skip(err)
	}
	name := fmt.Sprintf("test%d", running.databases.Add(1))
	if err := running.exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	return running.url(name)
}
