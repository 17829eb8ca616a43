package prometheus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/adapter/prometheus"
	"github.com/llmproxy/llmproxy/interceptors"
)

// The router and its metrics in one mux.
func ExampleHandler() {
	metrics := &interceptors.Metrics{}
	mux := http.NewServeMux()
	mux.Handle("/", llmproxy.NewAutoRouter(llmproxy.WithInterceptor(metrics)))
	mux.Handle("/metrics", prometheus.Handler(metrics))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/plain; version=0.0.4; charset=utf-8
}
