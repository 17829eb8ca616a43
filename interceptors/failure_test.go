package interceptors_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/interceptors"
)

// scripted is a stream of pieces, then of err; where err is nil, of nothing until it is
// closed.
type scripted struct {
	pieces []string
	err    error
	once   sync.Once
	closed chan struct{}
}

func newScripted(err error, pieces ...string) *scripted {
	return &scripted{pieces: pieces, err: err, closed: make(chan struct{})}
}

func (s *scripted) Next() ([]byte, error) {
	if len(s.pieces) > 0 {
		p := []byte(s.pieces[0])
		s.pieces = s.pieces[1:]
		return p, nil
	}
	if s.err != nil {
		return nil, s.err
	}
	<-s.closed
	return nil, io.ErrClosedPipe
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *scripted) over() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// replies answers with each of streams in turn, with status.
func replies(status int, streams ...*scripted) llmproxy.RoundTripFunc {
	return func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
		s := streams[0]
		streams = streams[1:]
		return &llmproxy.Reply{StatusCode: status, Header: http.Header{}, Stream: s}, nil
	}
}

// posted is an exchange with a body.
func posted(t *testing.T, body string) *llmproxy.Exchange {
	t.Helper()
	b, err := llmproxy.ParseBody([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &llmproxy.Exchange{Method: http.MethodPost, Header: http.Header{}, Body: b, Meta: llmproxy.BodyMetadata{Model: "best"}}
}

// piecesOf reads s to its end.
func piecesOf(t *testing.T, s llmproxy.Stream) (pieces []string) {
	t.Helper()
	for {
		p, err := s.Next()
		if err == io.EOF {
			return pieces
		}
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, string(p))
	}
}

// Answers that are not returned are closed, the one that is returned is not, and has all
// its pieces, though its beginning has been read.
func TestFailedAnswers(t *testing.T) {
	t.Parallel()
	large := []string{`{"error":{"code":"insufficient_quota"},"more":"`}
	for range 100 {
		large = append(large, strings.Repeat("x", 4<<10))
	}
	for _, tt := range []struct {
		name    string
		status  int
		streams []*scripted
		want    []string
	}{
		{"the last one", 500, []*scripted{newScripted(io.EOF, "a", "b"), newScripted(io.EOF, "c"), newScripted(io.EOF, "d", "e")}, []string{"d", "e"}},
		{"a large one", 429, []*scripted{newScripted(io.EOF, large...)}, large},
		{"an empty one", 400, []*scripted{newScripted(io.EOF)}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, s := range tt.streams {
				s.closed = make(chan struct{})
			}
			retry := &interceptors.Retry{}
			reply, err := retry.Intercept(t.Context(), posted(t, `{}`), replies(tt.status, tt.streams...))
			if err != nil {
				t.Fatal(err)
			}
			if got := piecesOf(t, reply.Stream); !slices.Equal(got, tt.want) {
				t.Errorf("%s: got %d pieces, want %d", tt.name, len(got), len(tt.want))
			}
			for i, s := range tt.streams {
				if last := i == len(tt.streams)-1; s.over() == last {
					t.Errorf("%s: answer %d is closed: %v", tt.name, i, s.over())
				}
			}
		})
	}
}

// A provider that fails and then says no more is not waited for.
func TestFailedAnswerThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		hanging, good := newScripted(nil, `{"error":`), newScripted(io.EOF, "good")
		status := []int{500, 200}
		next := func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) {
			s, streams := status[0], map[int]*scripted{500: hanging, 200: good}
			status = status[1:]
			return &llmproxy.Reply{StatusCode: s, Header: http.Header{}, Stream: streams[s]}, nil
		}
		reply, err := (&interceptors.Retry{Jitter: longest}).Intercept(t.Context(), posted(t, `{}`), next)
		if took := time.Since(began); err != nil || reply.StatusCode != 200 || took != 10*sec+200*ms || !hanging.over() {
			t.Errorf("got %v, %v after %v", reply, err, took)
		}
	})
}

// An interceptor inside that returns nothing at all is no reason to fail as well.
func TestNothing(t *testing.T) {
	t.Parallel()
	p := &llmproxy.BaseProvider{ID: "p", Speaks: map[llmproxy.APIType]llmproxy.API{"": {}}}
	for _, i := range []llmproxy.Interceptor{
		&interceptors.Retry{},
		&interceptors.Pools{Models: map[string][]interceptors.Target{"best": {{Provider: p}}}},
		&interceptors.HeaderBan{Response: []string{"Server"}},
		&interceptors.AddHeader{Response: http.Header{"Server": {"x"}}},
		&interceptors.Limits{Quota: interceptors.Quota{Requests: 1}},
	} {
		reply, err := i.Intercept(t.Context(), posted(t, `{}`), func(context.Context, *llmproxy.Exchange) (*llmproxy.Reply, error) { return nil, nil })
		if reply != nil || err != nil {
			t.Errorf("%T: got %v, %v", i, reply, err)
		}
	}
}

// Whoever was to try a target out and does not find out lets the next one do so.
func TestPoolsTryOutAgain(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"leaves", "panics", "is refused"} {
		synctest.Test(t, func(t *testing.T) {
			trouble := ""
			p := setPools(t, [][]string{{"status=429,retry-after=1", "delay=10s"}, nil}, nil,
				llmproxy.WithInterceptor(llmproxy.InterceptorFunc(func(ctx context.Context, x *llmproxy.Exchange, next llmproxy.RoundTripFunc) (*llmproxy.Reply, error) {
					switch trouble {
					case "panics":
						panic("planned")
					case "is refused":
						return nil, llmproxy.BadRequest("planned")
					}
					return next(ctx, x)
				})))
			p.post(best(chatBody))
			<-time.After(sec)
			ctx, cancel := context.WithTimeout(t.Context(), sec)
			defer cancel()
			trouble = end
			p.send(p.request("POST", "/v1/chat/completions", best(chatBody)).WithContext(ctx))
			trouble = ""
			p.post(best(chatBody))
			want := []string{"p0", "p1", "p0"}
			if end == "leaves" {
				want = append(want, "p0")
			}
			if !slices.Equal(p.asked(), want) {
				t.Errorf("%s: asked %v, want %v", end, p.asked(), want)
			}
		})
	}
}

// keyed is a provider that is called with the clients' own keys.
type keyed struct{ llmproxy.Provider }

func (keyed) Settings() llmproxy.Settings { return llmproxy.Settings{ClientKeys: true} }

// With keys of their own, clients have limits of their own; a wrong key is wrong.
func TestPoolsWithClientKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := setPools(t, [][]string{{"status=429,retry-after=60", "", "status=401"}, nil}, func(p *interceptors.Pools) {
			p.Models["best"][0].Provider = keyed{p.Models["best"][0].Provider}
		})
		p.router.RegisterProvider(p.pools.Models["best"][0].Provider)
		var got []string
		for _, key := range []string{"a", "a", "b", "b"} {
			r := p.request("POST", "/v1/chat/completions", best(chatBody))
			w := p.send(r.WithContext(llmproxy.WithCaller(r.Context(), llmproxy.Caller{Key: key})))
			got = append(got, fmt.Sprint(w.Header().Get("X-Gateway-Provider"), " ", w.Code))
		}
		if want := []string{"p1 200", "p1 200", "p0 200", "p0 401"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// What is said by providers and clients is in no refusal.
func TestRefusalsQuoteNothing(t *testing.T) {
	t.Parallel()
	l := &interceptors.Limits{Per: interceptors.PerModel, Quota: interceptors.Quota{Concurrent: 1}}
	x := posted(t, `{"prompt":"canary"}`)
	x.Meta.Model, x.Caller.Key = "canary", "canary"
	var second error
	_, _ = l.Intercept(t.Context(), x, func(ctx context.Context, x *llmproxy.Exchange) (*llmproxy.Reply, error) {
		_, second = l.Intercept(ctx, x, nil)
		return nil, nil
	})
	if second == nil || bytes.Contains([]byte(second.Error()), []byte("canary")) {
		t.Errorf("got %v", second)
	}
}
