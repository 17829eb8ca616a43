package interceptors_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/llmproxy/llmproxy/interceptors"
)

// noon is when the failures of these tests arrive.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestFailureWait(t *testing.T) {
	t.Parallel()
	fields := func(nameValue ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(nameValue); i += 2 {
			h.Set(nameValue[i], nameValue[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   time.Duration // 0: nothing is said
	}{
		{"nothing", 429, nil, ``, 0},
		{"seconds", 500, fields("Retry-After", "7"), ``, 7 * sec},
		{"a fraction", 500, fields("Retry-After", "1.5"), ``, 1500 * ms},
		{"a day", 500, fields("Retry-After", "86400"), ``, 24 * time.Hour},
		{"more than a day", 500, fields("Retry-After", "86401"), ``, 0},
		{"minutes", 500, fields("Retry-After", "6m"), ``, 6 * time.Minute},
		{"two numbers", 500, fields("Retry-After", "1m2"), ``, 0},
		{"a fraction of a millisecond", 500, fields("Retry-After-Ms", "1500.5"), ``, 1500*ms + 500*time.Microsecond},
		{"milliseconds that say so", 500, fields("Retry-After-Ms", "2s"), ``, 2 * sec},
		{"two numbers of milliseconds", 500, fields("Retry-After-Ms", "1m2"), ``, 0},
		{"no time", 500, fields("Retry-After", "0"), ``, 0},
		{"less than no time", 500, fields("Retry-After", "-3"), ``, 0},
		{"a sign", 500, fields("Retry-After", "+3"), ``, 0},
		{"words", 500, fields("Retry-After", "later"), ``, 0},
		{"a date", 500, fields("Retry-After", "Sun, 01 Mar 2026 12:01:00 GMT"), ``, time.Minute},
		{"a date a day ahead", 500, fields("Retry-After", "Mon, 02 Mar 2026 12:00:00 GMT"), ``, 24 * time.Hour},
		{"a later date", 500, fields("Retry-After", "Mon, 02 Mar 2026 12:00:01 GMT"), ``, 0},
		{"a date gone by", 500, fields("Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT"), ``, 0},
		{"milliseconds first", 500, fields("Retry-After", "7", "Retry-After-Ms", "250"), ``, 250 * ms},
		{"bad milliseconds", 500, fields("Retry-After", "7", "Retry-After-Ms", "x"), ``, 7 * sec},
		{"too many milliseconds", 500, fields("Retry-After", "7", "Retry-After-Ms", "86400001"), ``, 7 * sec},

		{"OpenAI", 429, fields("X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "6m0s"), ``, 6 * time.Minute},
		{"OpenAI, in whole minutes", 429, fields("X-Ratelimit-Reset-Tokens", "6m"), ``, 6 * time.Minute},
		{"OpenAI, in a moment", 429, fields("X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "17ms"), ``, 17 * ms},
		{
			"the limit that was hit", 429,
			fields("X-Ratelimit-Remaining-Requests", "10", "X-Ratelimit-Reset-Requests", "1s", "X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "20s"), ``, 20 * sec,
		},
		{
			"both were hit", 429,
			fields("X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "30s", "X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "20s"), ``, 30 * sec,
		},
		{
			"neither is empty", 429,
			fields("X-Ratelimit-Remaining-Requests", "3", "X-Ratelimit-Reset-Requests", "8h", "X-Ratelimit-Remaining-Tokens", "20", "X-Ratelimit-Reset-Tokens", "2s"), ``, 2 * sec,
		},
		{"not of other failures", 500, fields("X-Ratelimit-Reset-Requests", "6m0s"), ``, 0},
		{"Azure's nothing", 429, fields("X-Ratelimit-Remaining-Requests", "-1", "X-Ratelimit-Reset-Requests", "0"), ``, 0},
		{"Retry-After first", 429, fields("Retry-After", "3", "X-Ratelimit-Reset-Requests", "1s"), ``, 3 * sec},
		{"Retry-After beyond a day", 429, fields("Retry-After", "90000", "X-Ratelimit-Reset", "4"), ``, 4 * sec},
		{"Anthropic", 429, fields("Anthropic-Ratelimit-Requests-Remaining", "0", "Anthropic-Ratelimit-Requests-Reset", "2026-03-01T12:00:45Z"), ``, 45 * sec},
		{"Anthropic, unified", 429, fields("Anthropic-Ratelimit-Unified-Reset", strconv.FormatInt(noon.Add(time.Hour).Unix(), 10)), ``, time.Hour},
		{"since 1970, in milliseconds", 429, fields("X-Ratelimit-Reset", strconv.FormatInt(noon.Add(1500*ms).UnixMilli(), 10)), ``, 1500 * ms},
		{"the draft of the IETF", 429, fields("Ratelimit-Remaining", "0", "Ratelimit-Reset", "9"), ``, 9 * sec},
		{"Mistral", 429, fields("Ratelimitbysize-Reset", "33"), ``, 33 * sec},

		{"Google", 429, nil, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"31s"}]}}`, 31 * sec},
		{"Google, of a stream", 503, nil, `[{"error":{"code":503,"details":[{"retryDelay":"1.250s"}]}}]`, 1250 * ms},
		{"Google's text", 429, nil, `{"error":{"message":"You exceeded your current quota.\nPlease retry in 36.5s."}}`, 36500 * ms},
		{"OpenAI's text", 429, nil, `{"error":{"message":"Rate limit reached for gpt-5 on tokens per min. Please try again in 20s. Visit …","code":"rate_limit_exceeded"}}`, 20 * sec},
		{"in milliseconds", 429, nil, `{"error":{"message":"Please try again in 28ms."}}`, 28 * ms},
		{"in minutes", 429, nil, `{"error":{"message":"Please try again in 6m0s."}}`, 6 * time.Minute},
		{"Azure's text", 429, nil, `{"error":{"message":"Please retry after 26 seconds."}}`, 26 * sec},
		{"a minute", 429, nil, `{"message":"try again in 1 minute"}`, time.Minute},
		{"xAI's text", 429, nil, `{"code":"slow","error":"Too fast: try again in 2 hours."}`, 2 * time.Hour},
		{"no number", 429, nil, `{"error":{"message":"Please try again in a moment."}}`, 0},
		{"an event of a WebSocket", 429, nil, `{"type":"error","status":429,"error":{"message":"Please try again in 3s."}}`, 3 * sec},
		{"of an overload", 529, nil, `{"error":{"message":"try again in 3s"}}`, 3 * sec},
		{"quoted by a 400", 400, nil, `{"error":{"message":"Invalid value: 'try again in 23h'."}}`, 0},
		{"quoted by a 403", 403, nil, `{"error":{"message":"Not allowed: 'try again in 23h'."}}`, 0},
		{"of a 500", 500, nil, `{"error":{"message":"try again in 3s"}}`, 0},
		{"not in a prompt", 429, nil, `{"error":{"message":"no"},"prompt":"try again in 3s"}`, 0},
		{"no JSON", 429, nil, `<html>try again in 3s</html>`, 0},
		{"no answer", 0, nil, `{"error":{"message":"Please try again in 3s."}}`, 0},
	} {
		f := &interceptors.Failure{Status: tt.status, Header: tt.header, Body: []byte(tt.body)}
		if got, ok := f.Wait(noon); got != tt.want || ok != (tt.want > 0) {
			t.Errorf("%s: got %v, %v; want %v", tt.name, got, ok, tt.want)
		}
	}
}

// A dependency that failed may be back a moment later.
func TestFailureRetryable(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{408: true, 409: true, 424: true, 429: true, 498: true, 500: true, 529: true, 400: false, 403: false, 422: false} {
		f := &interceptors.Failure{Status: status, Header: http.Header{}}
		if got := f.Retryable(); got != want {
			t.Errorf("%d: got %v", status, got)
		}
	}
}

// A pause is more than nothing and at most a day, and each way of writing it means the
// same.
func FuzzFailureWait(f *testing.F) {
	f.Add("6m0s", int64(360_000), `{"error":{"message":"try again in 6m0s."}}`)
	f.Add("1e400", int64(-1), `{"error":{"message":"retry after 1 second"}}`)
	f.Add("99999999999999999999", int64(86_400_000), `[{"error":{"details":[{"retryDelay":"-1s"}]}}]`)
	f.Fuzz(func(t *testing.T, value string, millis int64, body string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ratelimit-Reset-Tokens", "Anthropic-Ratelimit-Tokens-Reset"} {
			failure := &interceptors.Failure{Status: 429, Header: http.Header{name: {value}}, Body: []byte(body)}
			if d, ok := failure.Wait(noon); ok != (d > 0) || d > 24*time.Hour {
				t.Errorf("%s: %q, %q: got %v, %v", name, value, body, d, ok)
			}
		}
		if millis < -1e15 || millis > 1e15 {
			return
		}
		d := time.Duration(millis) * time.Millisecond
		want := d
		if d <= 0 || d > 24*time.Hour || millis > 86_400_000 {
			want = 0
		}
		at := noon.Add(time.Duration(min(max(millis, -1e12), 1e12)) * time.Millisecond)
		for _, h := range []http.Header{
			{"Retry-After-Ms": {strconv.FormatInt(millis, 10)}},
			{"X-Ratelimit-Reset-Tokens": {d.String()}},
			{"X-Ratelimit-Reset": {strconv.FormatInt(at.UnixMilli(), 10)}},
			{"Anthropic-Ratelimit-Tokens-Reset": {at.Format(time.RFC3339Nano)}},
		} {
			if millis > 1e12 && h.Get("X-Ratelimit-Reset-Tokens") != "" {
				continue // more than a Duration holds
			}
			failure := &interceptors.Failure{Status: 429, Header: h}
			if got, _ := failure.Wait(noon); got != want {
				t.Errorf("%v: got %v, want %v", h, got, want)
			}
		}
	})
}

func TestFailureOutOfQuota(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		want   bool
	}{
		{429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, true},
		{429, `{"error":{"code":"billing_hard_limit_reached"}}`, true},
		{429, `{"error":{"code":"credit_balance_exhausted","type":"insufficient_quota"}}`, true},
		{429, `{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached"}}`, true},
		{429, `{"type":"error","status":429,"error":{"code":"insufficient_quota"}}`, true},
		{400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`, true},
		{429, `{"code":"slow","error":"Your team has used all available credits"}`, true},
		{403, `{"error":"Your team has used all available credits"}`, true},
		{400, `{"error":{"code":"Arrearage"}}`, true},
		{402, ``, true},
		{400, `{"error":{"message":"Invalid value: 'your credit balance is too low'.","type":"invalid_request_error","code":"invalid_value"}}`, false},
		{403, `{"error":{"message":"No access to insufficient credits","code":"my_quota"}}`, false},
		{429, `{"error":{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded, please try again later."}}`, false},
		{429, `{"error":{"code":"Throttling.AllocationQuota","type":"Throttling.AllocationQuota","message":"Allocated quota exceeded, please increase your quota limit."}}`, false},
		{429, `{"error":{"type":"requests","code":"quota_exceeded_per_minute"}}`, false},
		{429, `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}`, true},
		{429, `{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 36.5s.","status":"RESOURCE_EXHAUSTED"}}`, false},
		{429, `{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"20s"}]}}`, true},
		{429, `{"error":{"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota, please check your plan and billing details.","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]}]}}`, false},
		{429, `{"error":{"code":"rate_limit_exceeded","type":"tokens","message":"Rate limit reached"}}`, false},
		{429, ``, false},
		{500, `{"error":{"code":"insufficient_quota"}}`, false},
		{400, `{"error":{"code":"context_length_exceeded"}}`, false},
	} {
		f := &interceptors.Failure{Status: tt.status, Header: http.Header{}, Body: []byte(tt.body)}
		if got := f.OutOfQuota(); got != tt.want {
			t.Errorf("%d %s: got %v, want %v", tt.status, tt.body, got, tt.want)
		}
	}
}
