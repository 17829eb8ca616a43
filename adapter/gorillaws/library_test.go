package gorillaws_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/gorillaws"
	"github.com/llmproxy/llmproxy/adapter/wstest"
)

// bareUpgrader and bareDialer use the library without this package.
type (
	bareUpgrader struct{}
	bareDialer   struct{}
)

func (bareUpgrader) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header) (llmproxy.WSConn, error) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, header)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (bareDialer) Dial(ctx context.Context, url string, header http.Header) (llmproxy.WSConn, *http.Response, error) {
	conn, resp, err := (&websocket.Dialer{}).DialContext(ctx, url, header)
	if err != nil {
		return nil, resp, err
	}
	return conn, resp, nil
}

// The library's own connections keep what a WSConn has to.
func TestLibraryAsItIs(t *testing.T) {
	t.Parallel()
	wstest.Run(t, bareUpgrader{}, bareDialer{})
}

// One side may have the library alone.
func TestLibraryAsItIsForClients(t *testing.T) {
	t.Parallel()
	wstest.Run(t, gorillaws.Upgrader{}, bareDialer{})
}
