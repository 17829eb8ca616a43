package ledgersql

import (
	"context"
	"errors"
	"testing"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		have int64
		ups  []func(have int64) (int64, error) // what each call of up finds and leaves
		want error
		left int64
	}{
		{"nothing to do", 3, nil, nil, 3},
		{"new", 0, []func(int64) (int64, error){func(int64) (int64, error) { return 3, nil }}, nil, 3},
		{"fails", 1, []func(int64) (int64, error){func(have int64) (int64, error) { return have, broken }}, broken, 1},
		{"another has done it", 1, []func(int64) (int64, error){func(int64) (int64, error) { return 3, broken }}, nil, 3},
		{
			"another is doing it", 1, []func(int64) (int64, error){
				func(int64) (int64, error) { return 2, broken },
				func(int64) (int64, error) { return 3, broken },
			}, nil, 3,
		},
		{
			"fails after another's progress", 1, []func(int64) (int64, error){
				func(int64) (int64, error) { return 2, broken },
				func(have int64) (int64, error) { return have, broken },
			}, broken, 2,
		},
		{"newer", 4, nil, ErrNewer, 4},
	} {
		have, calls := tt.have, 0
		err := Migrate(t.Context(),
			func(context.Context) (int64, int64, error) { return have, 3, nil },
			func(context.Context) (err error) {
				have, err = tt.ups[calls](have)
				calls++
				return err
			})
		if !errors.Is(err, tt.want) || have != tt.left || calls != len(tt.ups) {
			t.Errorf("%s: got %v and version %d after %d calls, want %v, %d and %d", tt.name, err, have, calls, tt.want, tt.left, len(tt.ups))
		}
	}
	err := Migrate(t.Context(), func(context.Context) (int64, int64, error) { return 0, 0, broken }, nil)
	if !errors.Is(err, broken) {
		t.Errorf("versions fails: got %v", err)
	}
}
