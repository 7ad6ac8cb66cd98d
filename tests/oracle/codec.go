package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"

	"github.com/openimsdk/open-im-server/v3/pkg/callbackstruct"
)

// bodyCall asks for the body of a callback. Seed 0 stands for a request that nobody has filled. Set is laid over it: JSON
// with some of the request's fields.
type bodyCall struct {
	Command string          `json:"command"`
	Seed    int64           `json:"seed"`
	Set     json.RawMessage `json:"set"`
}

// body is the body as OpenIM's HTTP client writes it.
func body(call bodyCall) string {
	request := reflect.New(shapesFor(call.Command).request)
	if call.Seed != 0 {
		random{rand.New(rand.NewSource(call.Seed))}.fill(request.Elem(), "")
	}
	if call.Set != nil {
		if err := json.Unmarshal(call.Set, request.Interface()); err != nil {
			panic(err)
		}
	}
	request.Elem().FieldByName("CallbackCommand").SetString(call.Command)
	if command := request.Interface().(callbackstruct.CallbackReq).GetCallbackCommand(); command != call.Command {
		panic(fmt.Sprintf("%s is %s", call.Command, command))
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(request.Interface()); err != nil {
		panic(err)
	}
	return body.String()
}

// readCall asks what OpenIM reads in an answer to a callback.
type readCall struct {
	Command string `json:"command"`
	Answer  string `json:"answer"`
}

// reading is that. Fields are all of the response struct's. Error is as in a verdict.
type reading struct {
	Fields any       `json:"fields"`
	Error  *apiError `json:"error"`
}

// read does what OpenIM's webhook client does with the body of a response.
func read(call readCall) reading {
	response := reflect.New(shapesFor(call.Command).response).Interface().(callbackstruct.CallbackResp)
	if err := json.Unmarshal([]byte(call.Answer), response); err != nil {
		return reading{Error: errorOf(err, true)}
	}
	if err := response.Parse(); err != nil {
		return reading{Fields: response, Error: errorOf(err, false)}
	}
	return reading{Fields: response}
}

func shapesFor(command string) shapes {
	found, is := callbacks[command]
	if !is {
		panic("no such callback: " + command)
	}
	return found
}
