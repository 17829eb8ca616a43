package openaigo

import (
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/conformance/rig"
)

// Vectors arrive in the form that was asked for, and read the same in each.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		var vectors [][]float64
		for _, format := range []openai.EmbeddingNewParamsEncodingFormat{
			"", openai.EmbeddingNewParamsEncodingFormatFloat, openai.EmbeddingNewParamsEncodingFormatBase64,
		} {
			got, err := s.Embeddings.New(s.T.Context(), openai.EmbeddingNewParams{
				Model: s.Model("text-embedding-3-small"), EncodingFormat: format, Dimensions: openai.Int(4),
				Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"the first text", "the second"}},
			})
			s.Do(err)
			s.Hear(got.RawJSON())
			if len(got.Data) != 2 || got.Usage.PromptTokens != 5 || got.Usage.TotalTokens != 5 {
				s.T.Fatalf("%q: got %s", format, got.RawJSON())
			}
			text := got.Data[0].JSON.Embedding.Raw()[0] == '"'
			if text != (format == openai.EmbeddingNewParamsEncodingFormatBase64) {
				s.T.Errorf("%q: got %s", format, got.Data[0].RawJSON())
			}
			vector := slices.Concat(got.Data[0].Embedding, got.Data[1].Embedding)
			if len(vector) != 8 {
				s.T.Errorf("%q: %d numbers, want 8", format, len(vector))
			}
			vectors = append(vectors, vector)
			s.recorded(rig.Exchange{API: llmproxy.APIEmbeddings, Model: "text-embedding-3-small"})
		}
		if !slices.Equal(vectors[0], vectors[1]) || !slices.Equal(vectors[1], vectors[2]) {
			s.T.Errorf("the formats differ: %v", vectors)
		}
	})
}

// A text may come in tokens.
func TestEmbeddingsOfTokens(t *testing.T) {
	t.Parallel()
	everywhere(t, everyEntry, func(s *session) {
		got, err := s.Embeddings.New(s.T.Context(), openai.EmbeddingNewParams{
			Model: s.Model("text-embedding-3-small"),
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfTokenArrays: [][]int64{{1, 2, 3}, {4}}},
		})
		s.Do(err)
		s.Hear(got.RawJSON())
		if len(got.Data) != 2 || got.Usage.PromptTokens != 4 {
			s.T.Errorf("got %s", got.RawJSON())
		}
		s.recorded(rig.Exchange{API: llmproxy.APIEmbeddings, Model: "text-embedding-3-small"})
	})
}
