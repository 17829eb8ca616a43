// Package awsconfig finds the region and the credentials that AWS's own tools would use,
// for package bedrock, through AWS's own library: environment, shared files and profiles,
// SSO, web identity, containers and instances.
package awsconfig

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Settings are what was found.
type Settings struct {
	Region string // "" if none is set
	// Credentials gets credentials when it is asked, keeps them, and gets others a minute
	// before they end. That none can be had, it says only then.
	Credentials aws.CredentialsProvider
}

// Load reads the environment and the shared files, as every SDK of AWS does. profile is
// one of the shared files; "" means the one that the environment names, or the default.
// Load calls nobody. An error means that the files are at fault, or that profile is not in
// them.
func Load(ctx context.Context, profile string) (Settings, error) {
	options := []func(*config.LoadOptions) error{
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute }),
	}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return Settings{}, fmt.Errorf("awsconfig: %w", err)
	}
	return Settings{Region: c.Region, Credentials: c.Credentials}, nil
}
