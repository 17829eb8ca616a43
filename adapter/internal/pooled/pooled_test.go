package pooled_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/adapter/internal/pooled"
)

// echo decodes to what it reads.
type echo struct{ src io.Reader }

func (e *echo) Read(p []byte) (int, error) { return e.src.Read(p) }

func (e *echo) Reset(r io.Reader) error {
	e.src = r
	return nil
}

// made returns a pool and the decoders it has made.
func made() (*pooled.Pool, *[]*echo) {
	var all []*echo
	return pooled.New(func() (pooled.Decoder, error) {
		e := &echo{}
		all = append(all, e)
		return e, nil
	}), &all
}

func TestOpenDecoderIsNotLentTwice(t *testing.T) {
	t.Parallel()
	pool, all := made()
	first, err := pool.Open(strings.NewReader("first"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := pool.Open(strings.NewReader("second"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		r    io.Reader
		want string
	}{{second, "second"}, {first, "first"}} {
		if got, err := io.ReadAll(tt.r); string(got) != tt.want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, tt.want)
		}
	}
	if len(*all) != 2 {
		t.Errorf("%d decoders for two open readers", len(*all))
	}
}

func TestCloseLetsGoOfTheSource(t *testing.T) {
	t.Parallel()
	pool, all := made()
	r, err := pool.Open(strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if (*all)[0].src != nil {
		t.Error("an idle decoder still holds what it read")
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close: %d, %v, want fs.ErrClosed", n, err)
	}
}

// stalled is a source whose one Read waits.
type stalled struct{ started, release chan struct{} }

func (s stalled) Read([]byte) (int, error) {
	close(s.started)
	<-s.release
	return 0, io.EOF
}

// A decoder that is still reading must not serve another body: that body would get the
// bytes of this one.
func TestCloseDuringRead(t *testing.T) {
	t.Parallel()
	pool, all := made()
	src := stalled{make(chan struct{}), make(chan struct{})}
	r, err := pool.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 1))
		done <- err
	}()
	<-src.started
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	other, err := pool.Open(strings.NewReader("other"))
	if err != nil {
		t.Fatal(err)
	}
	if len(*all) != 2 || (*all)[0].src == nil {
		t.Error("the decoder was given back during its Read")
	}
	close(src.release)
	if err := <-done; err != io.EOF {
		t.Errorf("Read: %v, want EOF", err)
	}
	if (*all)[0].src != nil {
		t.Error("the decoder was not given back after its Read")
	}
	if got, err := io.ReadAll(other); string(got) != "other" || err != nil {
		t.Errorf("the other body: %q, %v", got, err)
	}
}

func TestErrorsOfMakingAndResetting(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	pool := pooled.New(func() (pooled.Decoder, error) { return nil, broken })
	if r, err := pool.Open(strings.NewReader("")); r != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v, want the error of the maker", r, err)
	}
	pool = pooled.New(func() (pooled.Decoder, error) { return unwilling{broken}, nil })
	if r, err := pool.Open(strings.NewReader("")); r != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v, want the error of Reset", r, err)
	}
}

// unwilling cannot be reset.
type unwilling struct{ err error }

func (unwilling) Read([]byte) (int, error) { return 0, io.EOF }

func (u unwilling) Reset(io.Reader) error { return u.err }
