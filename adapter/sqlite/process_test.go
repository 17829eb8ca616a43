package sqlite_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/internal/ledgersql/ledgersqltest"
	"github.com/llmproxy/llmproxy/ledger"
)

// These make a test the child of another: what it does is in role, and where in path.
const (
	role = "LLMPROXY_SQLITE_TEST_ROLE"
	path = "LLMPROXY_SQLITE_TEST_PATH"
)

// child returns the command that runs TestChild as what.
func child(t *testing.T, what, file string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), role+"="+what, path+"="+file)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestChild is no test, but the other process of those below.
func TestChild(t *testing.T) {
	what := os.Getenv(role)
	if what == "" {
		t.Skip("the other process of other tests")
	}
	s := open(t, os.Getenv(path))
	defer s.Close()
	switch what {
	case "read":
		n := 0
		err := s.Records(t.Context(), ledger.Filter{}, func(*llmproxy.Record) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("read %d\n", n)
	case "write":
		for n := 0; ; n++ {
			r := llmproxy.Record{ID: fmt.Sprint(n), Time: time.UnixMilli(int64(n))}
			if err := s.Append(t.Context(), []llmproxy.Record{r}); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("wrote %d\n", n)
		}
	}
}

// Another process reads while this one writes.
func TestReadBesideWriter(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ledger.db")
	s := open(t, file)
	defer s.Close()
	batch := make([]llmproxy.Record, 100)
	var records ledgersqltest.Records
	var written int64
	write := func() bool {
		records.Fill(batch)
		written += int64(len(batch))
		err := s.Append(t.Context(), batch)
		if err != nil {
			t.Error(err)
		}
		return err == nil
	}
	for range 3 {
		write()
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for write() {
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	out, err := child(t, "read", file).Output()
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var n int64
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "read "); ok {
			n, _ = strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		}
	}
	if n < 300 || n > written || n%100 != 0 {
		t.Errorf("the other process read %d records of %d, in batches of 100, 300 of them before it began", n, written)
	}
}

// What Append has returned for is there after the process was killed.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ledger.db")
	cmd := child(t, "write", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	written := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "wrote "); ok {
			if written, err = strconv.Atoi(text); err != nil {
				t.Error(err)
			}
		}
		if written == 50 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	if written < 50 {
		t.Fatalf("the writer came to record %d only", written)
	}
	s := open(t, file)
	defer s.Close()
	n := 0
	err = s.Records(t.Context(), ledger.Filter{}, func(r *llmproxy.Record) error {
		if r.ID != fmt.Sprint(n) {
			t.Errorf("record %d has the ID %s", n, r.ID)
		}
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n <= written {
		t.Errorf("%d records, but %d was written", n, written)
	}
}

// Several processes may start at once on a file that is not there yet.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ledger.db")
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			s := open(t, file)
			r := llmproxy.Record{ID: fmt.Sprint(n), Time: time.UnixMilli(int64(n))}
			if err := s.Append(t.Context(), []llmproxy.Record{r}); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, file)
	defer s.Close()
	if sums, err := s.Sums(t.Context(), ledger.Filter{}, ledger.ByNothing); err != nil || len(sums) != 1 || sums[0].Exchanges != 8 {
		t.Errorf("got %+v, %v, want 8 exchanges", sums, err)
	}
}

// Any name that the system allows is a file's name, and nothing of it a setting.
func TestOddNames(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("allows few of these in a name")
	}
	for _, name := range []string{"a b.db", "a?mode=memory", "a#b", "a%41", "a&b=c", "ü'\"", ":memory:", "file:x", "c\\d"} {
		folder := filepath.Join(t.TempDir(), "of "+name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		s := open(t, filepath.Join(folder, name))
		if err := s.Append(t.Context(), []llmproxy.Record{{ID: "a", Time: time.UnixMilli(1)}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 1 || entries[0].Name() != name {
			t.Errorf("%s: the folder has %v, %v", name, entries, err)
		}
	}
}

// Only its owner may read the ledger, or what is beside it while it is open.
func TestFileModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has no such modes")
	}
	folder := t.TempDir()
	s := open(t, filepath.Join(folder, "ledger.db"))
	defer s.Close()
	if err := s.Append(t.Context(), []llmproxy.Record{{ID: "a", Time: time.UnixMilli(1)}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ledger.db", "ledger.db-wal", "ledger.db-shm"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode() != 0o600 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
}
