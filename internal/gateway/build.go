package gateway

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/llmproxy/llmproxy"
	"github.com/llmproxy/llmproxy/providers/anthropic"
	"github.com/llmproxy/llmproxy/providers/azure"
	"github.com/llmproxy/llmproxy/providers/azure/entra"
	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/bedrock/awsconfig"
	"github.com/llmproxy/llmproxy/providers/cohere"
	"github.com/llmproxy/llmproxy/providers/googleai"
	"github.com/llmproxy/llmproxy/providers/openai_compatible"
	"github.com/llmproxy/llmproxy/providers/vertexai"
	"github.com/llmproxy/llmproxy/providers/vertexai/adc"
)

// compatible returns the build function of a type that is called like OpenAI.
func compatible(build func(openai_compatible.Config) (*llmproxy.BaseProvider, error)) func(ProviderConfig) (llmproxy.Provider, error) {
	return func(p ProviderConfig) (llmproxy.Provider, error) {
		return build(openai_compatible.Config{
			Name:         p.Name,
			Type:         p.Type,
			BaseURL:      p.BaseURL,
			APIPath:      p.APIPath,
			Paths:        p.Paths,
			Query:        p.Query,
			APIKey:       p.APIKey,
			APIKeyHeader: p.APIKeyHeader,
			ClientKeys:   p.passes(),
			Headers:      p.Headers,
			Organization: p.Organization,
			Project:      p.Project,
			Models:       p.Models,
			Timeout:      time.Duration(p.Timeout),
			IncludeUsage: p.IncludeUsage,
			WebSocket:    p.WebSocket,
		})
	}
}

func newAnthropic(p ProviderConfig) (llmproxy.Provider, error) {
	return anthropic.New(anthropic.Config{
		Name:       p.Name,
		BaseURL:    p.BaseURL,
		APIKey:     p.APIKey,
		AuthToken:  p.AuthToken,
		ClientKeys: p.passes(),
		Headers:    p.Headers,
		Models:     p.Models,
		Timeout:    time.Duration(p.Timeout),
	})
}

func newCohere(p ProviderConfig) (llmproxy.Provider, error) {
	return cohere.New(cohere.Config{
		Name:       p.Name,
		BaseURL:    p.BaseURL,
		APIKey:     p.APIKey,
		ClientKeys: p.passes(),
		Headers:    p.Headers,
		Models:     p.Models,
		Timeout:    time.Duration(p.Timeout),
	})
}

func newGoogleAI(p ProviderConfig) (llmproxy.Provider, error) {
	return googleai.New(googleai.Config{
		Name:       p.Name,
		BaseURL:    p.BaseURL,
		APIKey:     p.APIKey,
		ClientKeys: p.passes(),
		Headers:    p.Headers,
		Models:     p.Models,
		Timeout:    time.Duration(p.Timeout),
	})
}

func newVertexAI(p ProviderConfig) (llmproxy.Provider, error) {
	c := vertexai.Config{
		Name:        p.Name,
		Project:     p.Project,
		Location:    p.Location,
		BaseURL:     p.BaseURL,
		APIVersion:  p.APIVersion,
		APIKey:      p.APIKey,
		AccessToken: p.AccessToken,
		ClientKeys:  p.passes(),
		Headers:     p.Headers,
		Models:      p.Models,
		Timeout:     time.Duration(p.Timeout),
	}
	if c.APIKey == "" && c.AccessToken == "" && !c.ClientKeys {
		c.Credentials = adc.Default()
	}
	return vertexai.New(c)
}

// What AWS's library says quotes its files: these stand for it.
var errAWS = errors.New("the configuration of AWS's own tools, which has the credentials and the region, cannot be read")

const noProfile = "the configuration of AWS's own tools has no such profile, or cannot be read"

func newBedrock(p ProviderConfig) (llmproxy.Provider, error) {
	if p.APIKey != "" && p.BearerToken != "" {
		return nil, &bedrock.FieldError{Provider: p.Name, Field: "bearer_token", Problem: "api_key is the same; want one of the two"}
	}
	c := bedrock.Config{
		Name:            p.Name,
		Region:          p.Region,
		FIPS:            p.FIPS,
		BaseURL:         p.BaseURL,
		BearerToken:     cmp.Or(p.BearerToken, p.APIKey),
		AccessKeyID:     p.AccessKeyID,
		SecretAccessKey: p.SecretAccessKey,
		SessionToken:    p.SessionToken,
		ClientKeys:      p.passes(),
		Headers:         p.Headers,
		Models:          p.Models,
		Timeout:         time.Duration(p.Timeout),
		IncludeUsage:    p.IncludeUsage,
	}
	chain := c.BearerToken == "" && c.AccessKeyID == "" && c.SecretAccessKey == "" && c.SessionToken == "" && !c.ClientKeys
	if chain || c.Region == "" && c.BaseURL == "" {
		found, err := awsconfig.Load(context.Background(), p.Profile) // it calls nobody
		switch {
		case err != nil && p.Profile != "":
			return nil, &bedrock.FieldError{Provider: p.Name, Field: "profile", Problem: noProfile}
		case err != nil:
			return nil, errAWS
		}
		c.Region = cmp.Or(c.Region, found.Region)
		if chain {
			c.Credentials = found.Credentials
		}
	}
	return bedrock.New(c)
}

// errEntra stands for what Microsoft's library says, which quotes the environment.
var errEntra = errors.New("without an api_key or access_token, tokens come from Entra ID, and what the environment says of that contradicts itself: see AZURE_TOKEN_CREDENTIALS")

func newAzure(p ProviderConfig) (llmproxy.Provider, error) {
	c := azure.Config{
		Name:         p.Name,
		Resource:     p.Resource,
		BaseURL:      p.BaseURL,
		APIVersion:   p.APIVersion,
		Deployment:   p.Deployment,
		APIKey:       p.APIKey,
		AccessToken:  p.AccessToken,
		ClientKeys:   p.passes(),
		Headers:      p.Headers,
		Models:       p.Models,
		Timeout:      time.Duration(p.Timeout),
		IncludeUsage: p.IncludeUsage,
	}
	if c.APIKey == "" && c.AccessToken == "" && !c.ClientKeys {
		tokens, err := entra.Default()
		if err != nil {
			return nil, errEntra
		}
		c.Tokens = tokens
	}
	return azure.New(c)
}
