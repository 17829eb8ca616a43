// Package entra gets tokens of Microsoft Entra ID for package azure, through Microsoft's
// own library: environment, workload identity, managed identity, Azure CLI and the like.
package entra

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/llmproxy/llmproxy/providers/azure"
)

// Default returns the source that tries one credential after the other, as
// azidentity.DefaultAzureCredential does: the variables AZURE_TENANT_ID, AZURE_CLIENT_ID
// and AZURE_CLIENT_SECRET (or a certificate), workload identity, managed identity, and
// the developer's own tools. It calls nobody; an error means that the environment
// contradicts itself.
func Default() (azure.TokenSource, error) {
	c, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("entra: default credential: %w", err)
	}
	return From(c), nil
}

// From returns the source of the tokens of c.
func From(c azcore.TokenCredential) azure.TokenSource { return source{c} }

type source struct{ credential azcore.TokenCredential }

// Token asks the credential, which keeps its tokens itself.
func (s source) Token(ctx context.Context, scope string) (token string, expires time.Time, err error) {
	t, err := s.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("entra: get token: %w", err)
	}
	return t.Token, t.ExpiresOn, nil
}
