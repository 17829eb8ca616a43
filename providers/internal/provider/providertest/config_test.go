package providertest_test

import (
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/cohere"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/internal/setting"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
	"github.com/llmproxy/llmproxy/providers/vertexai"
)

// Faults of all providers are of one type: who knows one of them knows all.
var _ = []*setting.FieldError{
	(*anthropic.FieldError)(nil),
	(*azure.FieldError)(nil),
	(*bedrock.FieldError)(nil),
	(*cohere.FieldError)(nil),
	(*googleai.FieldError)(nil),
	(*openai_compatible.FieldError)(nil),
	(*vertexai.FieldError)(nil),
}
