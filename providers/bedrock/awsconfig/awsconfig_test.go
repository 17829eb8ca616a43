package awsconfig_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llmproxy/llmproxy/providers/bedrock"
	"github.com/llmproxy/llmproxy/providers/bedrock/awsconfig"
)

// alone lets a test see only the environment and files that it makes itself.
func alone(t *testing.T, files map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // restored at the end
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	for name, variable := range map[string]string{"config": "AWS_CONFIG_FILE", "credentials": "AWS_SHARED_CREDENTIALS_FILE"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(variable, path)
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestLoad(t *testing.T) {
	files := map[string]string{
		"config":      "[default]\nregion = eu-west-1\n[profile other]\nregion = ap-south-1\n",
		"credentials": "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\n[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = s\naws_session_token = t\n",
	}
	for _, tt := range []struct {
		name, profile string
		env           map[string]string
		region, key   string
		session       string
	}{
		{"files", "", nil, "eu-west-1", "AKIDFILE", ""},
		{"a profile", "other", nil, "ap-south-1", "AKIDOTHER", "t"},
		{"a profile of the environment", "", map[string]string{"AWS_PROFILE": "other"}, "ap-south-1", "AKIDOTHER", "t"},
		{
			"the environment first", "",
			map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"},
			"us-east-1", "AKIDENV", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alone(t, files)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			got, err := awsconfig.Load(t.Context(), tt.profile)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := got.Credentials.Retrieve(t.Context())
			if err != nil || got.Region != tt.region || keys.AccessKeyID != tt.key || keys.SessionToken != tt.session {
				t.Errorf("got %s, %s, session %q, %v", got.Region, keys.AccessKeyID, keys.SessionToken, err)
			}
			if _, err := bedrock.New(bedrock.Config{Region: got.Region, Credentials: got.Credentials}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLoadWithoutAnything(t *testing.T) {
	alone(t, nil)
	got, err := awsconfig.Load(t.Context(), "")
	if err != nil || got.Region != "" {
		t.Fatalf("got region %q, %v", got.Region, err)
	}
	if keys, err := got.Credentials.Retrieve(t.Context()); err == nil {
		t.Errorf("got the key %s", keys.AccessKeyID)
	}
	if _, err := awsconfig.Load(t.Context(), "missing"); err == nil || !strings.HasPrefix(err.Error(), "awsconfig: ") {
		t.Errorf("a profile that is not there: %v", err)
	}
}
