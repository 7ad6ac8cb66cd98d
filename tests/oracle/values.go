package main

import (
	"fmt"
	"math"
	"math/rand"
	"reflect"
	"strings"
)

// texts are what a user or a client may have written, and what Go escapes in it.
var texts = []string{
	"", "", "u1", " ", "null", `{"content":"hi"}`, `"quoted" \ /`, "<b>&amp;'</b>", "中文 é", "😀👩‍👩‍👧",
	"\x00\x01\x1f\x7f", "\b\f\n\r\t", "\u2028\u2029\ufeff\uffff",
	// No UTF-8: Go writes U+FFFD.
	"\xff", "a\xc3", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80",
}

// random makes the values of a request.
type random struct{ *rand.Rand }

// fill sets all that can be set. Numbers stay in the range of the contract where the struct has a larger one.
func (r random) fill(value reflect.Value, name string) {
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() {
				r.fill(value.Field(i), field.Name)
			}
		}
	case reflect.Pointer:
		if r.Intn(3) > 0 {
			r.pointTo(value, name)
		}
	case reflect.Slice:
		if r.Intn(4) == 0 {
			return
		}
		count := r.Intn(4)
		value.Set(reflect.MakeSlice(value.Type(), count, count))
		for i := range count {
			if element := value.Index(i); element.Kind() == reflect.Pointer {
				r.pointTo(element, name)
			} else {
				r.fill(element, name)
			}
		}
	case reflect.String:
		value.SetString(r.text(name))
	case reflect.Bool:
		value.SetBool(r.Intn(2) == 0)
	case reflect.Int, reflect.Int32:
		value.SetInt(int64(r.int32()))
	case reflect.Int64:
		value.SetInt(r.int64(name))
	case reflect.Uint32:
		value.SetUint(uint64(uint32(r.int32())))
	default:
		panic(fmt.Sprintf("%s: no values for %s", name, value.Type()))
	}
}

func (r random) pointTo(value reflect.Value, name string) {
	value.Set(reflect.New(value.Type().Elem()))
	r.fill(value.Elem(), name)
}

func (r random) text(name string) string {
	if name == "GroupType" {
		// OpenIM converts the number itself: string(rune(groupType)).
		return string(rune(r.Intn(4)))
	}
	var text strings.Builder
	for range 1 + r.Intn(3) {
		text.WriteString(texts[r.Intn(len(texts))])
	}
	switch r.Intn(20) {
	case 0:
		text.WriteString(strings.Repeat("r", 5000))
	case 1, 2, 3:
		for range r.Intn(20) {
			text.WriteRune(rune(r.Intn(0x110000)))
		}
	}
	return text.String()
}

func (r random) int32() int32 {
	return []int32{0, 1, 2, 3, 4, 101, 1500, -1, math.MaxInt32, math.MinInt32, int32(r.Uint32())}[r.Intn(11)]
}

func (r random) int64(name string) int64 {
	if name == "ContentType" {
		// The kind of a conversation, of which there are four.
		return int64(r.int32())
	}
	return []int64{0, 1, -1, 1_700_000_000_000, math.MaxInt64, math.MinInt64, int64(r.Uint64())}[r.Intn(7)]
}
