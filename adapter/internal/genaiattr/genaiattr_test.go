package genaiattr_test

import (
	"testing"

	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/semconv/v1.41.0/genaiconv"

	"github.com/llmproxy/llmproxy/adapter/internal/genaiattr"
)

func TestNamesAreThoseOfTheConventions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{genaiattr.OperationName, string(semconv.GenAIOperationNameKey)},
		{genaiattr.ProviderName, string(semconv.GenAIProviderNameKey)},
		{genaiattr.TokenType, string(semconv.GenAITokenTypeKey)},
		{genaiattr.RequestModel, string(semconv.GenAIRequestModelKey)},
		{genaiattr.RequestMaxTokens, string(semconv.GenAIRequestMaxTokensKey)},
		{genaiattr.RequestStream, string(semconv.GenAIRequestStreamKey)},
		{genaiattr.ResponseID, string(semconv.GenAIResponseIDKey)},
		{genaiattr.ResponseModel, string(semconv.GenAIResponseModelKey)},
		{genaiattr.ResponseFinishReasons, string(semconv.GenAIResponseFinishReasonsKey)},
		{genaiattr.ResponseTimeToFirstChunk, string(semconv.GenAIResponseTimeToFirstChunkKey)},
		{genaiattr.UsageInputTokens, string(semconv.GenAIUsageInputTokensKey)},
		{genaiattr.UsageOutputTokens, string(semconv.GenAIUsageOutputTokensKey)},
		{genaiattr.UsageCacheReadTokens, string(semconv.GenAIUsageCacheReadInputTokensKey)},
		{genaiattr.UsageCacheCreationTokens, string(semconv.GenAIUsageCacheCreationInputTokensKey)},
		{genaiattr.UsageReasoningTokens, string(semconv.GenAIUsageReasoningOutputTokensKey)},
		{genaiattr.ErrorType, string(semconv.ErrorTypeKey)},
		{genaiattr.StatusCode, string(semconv.HTTPResponseStatusCodeKey)},
		{genaiattr.TokenInput, string(genaiconv.TokenTypeInput)},
		{genaiattr.TokenOutput, string(genaiconv.TokenTypeOutput)},
		{genaiattr.TokenUsage.Name, genaiconv.ClientTokenUsage{}.Name()},
		{genaiattr.TokenUsage.Unit, genaiconv.ClientTokenUsage{}.Unit()},
		{genaiattr.Duration.Name, genaiconv.ServerRequestDuration{}.Name()},
		{genaiattr.Duration.Unit, genaiconv.ServerRequestDuration{}.Unit()},
		{genaiattr.FirstToken.Name, genaiconv.ServerTimeToFirstToken{}.Name()},
		{genaiattr.FirstToken.Unit, genaiconv.ServerTimeToFirstToken{}.Unit()},
		{genaiattr.PerToken.Name, genaiconv.ServerTimePerOutputToken{}.Name()},
		{genaiattr.PerToken.Unit, genaiconv.ServerTimePerOutputToken{}.Unit()},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}
