package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// durationFunctions are those that Helm 4 adds: lengths of time as text such as 1h30m, or as a number of seconds.
func durationFunctions() template.FuncMap {
	in := func(unit time.Duration) func(any) int64 {
		return func(value any) int64 { return int64(orNone(value) / unit) }
	}
	parts := func(unit time.Duration) func(any) float64 {
		return func(value any) float64 { return orNone(value).Hours() / unit.Hours() }
	}
	return template.FuncMap{
		"mustToDuration":       duration,
		"durationSeconds":      func(value any) float64 { return orNone(value).Seconds() },
		"durationMilliseconds": in(time.Millisecond),
		"durationMicroseconds": in(time.Microsecond),
		"durationNanoseconds":  in(time.Nanosecond),
		"durationMinutes":      func(value any) float64 { return orNone(value).Minutes() },
		"durationHours":        func(value any) float64 { return orNone(value).Hours() },
		"durationDays":         parts(24 * time.Hour),
		"durationWeeks":        parts(7 * 24 * time.Hour),
		"durationRoundTo":      func(value, to any) time.Duration { return toMultiple(value, to, time.Duration.Round) },
		"durationTruncateTo":   func(value, to any) time.Duration { return toMultiple(value, to, time.Duration.Truncate) },
	}
}

func orNone(value any) time.Duration {
	found, err := duration(value)
	if err != nil {
		return 0
	}
	return found
}

func toMultiple(value, of any, how func(time.Duration, time.Duration) time.Duration) time.Duration {
	found := orNone(value)
	unit, err := duration(of)
	if err != nil {
		return found
	}
	return how(found, unit)
}

func duration(value any) (time.Duration, error) {
	if given, ok := value.(time.Duration); ok {
		return given, nil
	}
	number := reflect.ValueOf(value)
	switch {
	case !number.IsValid():
		return 0, errors.New("invalid duration")
	case number.CanInt():
		return ofSeconds(float64(number.Int()))
	case number.CanUint():
		return ofSeconds(float64(number.Uint()))
	case number.CanFloat():
		return ofSeconds(number.Float())
	case number.Kind() != reflect.String:
		return 0, fmt.Errorf("unsupported duration type %T", value)
	}
	text := strings.TrimSpace(number.String())
	if found, err := time.ParseDuration(text); err == nil {
		return found, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("could not parse duration %q", text)
	}
	return ofSeconds(seconds)
}

func ofSeconds(seconds float64) (time.Duration, error) {
	if math.IsNaN(seconds) || math.Abs(seconds) > math.MaxInt64/float64(time.Second) {
		return 0, errors.New("a duration out of range")
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
