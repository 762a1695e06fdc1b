package main

import (
	"io"
	"net"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
)

const (
	maxBody = 1 << 20
	ok      = `{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}`
	failed  = `{"ActionStatus":"FAIL","ErrorInfo":"refused","ErrorCode":1}`
)

// answer does with a callback all that is to be done. Returns the status of the reply, and its body.
func answer(client *kgo.Client, isPost bool, q *query, readBody func() ([]byte, error)) (int, string) {
	now := time.Now().UTC()
	if !isPost || !q.isAuthentic(now) {
		return http.StatusForbidden, failed
	}
	body, err := readBody()
	if err != nil {
		return http.StatusBadRequest, failed
	}
	record, err := normalize(q, body, now)
	if err != nil {
		return http.StatusBadRequest, failed
	}
	if err := publish(client, record); err != nil {
		return http.StatusServiceUnavailable, failed
	}
	return http.StatusOK, ok
}

func serveNetHTTP(listener net.Listener, client *kgo.Client) error {
	handler := func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		q := query{values.Get("SdkAppid"), values.Get("CallbackCommand"), values.Get("ClientIP"),
			values.Get("OptPlatform"), values.Get("Sign"), values.Get("RequestTime")}
		readBody := func() ([]byte, error) { return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) }
		status, reply := answer(client, r.Method == http.MethodPost, &q, readBody)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, reply)
	}
	server := http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

func serveFastHTTP(listener net.Listener, client *kgo.Client) error {
	handler := func(ctx *fasthttp.RequestCtx) {
		args := ctx.QueryArgs()
		q := query{string(args.Peek("SdkAppid")), string(args.Peek("CallbackCommand")), string(args.Peek("ClientIP")),
			string(args.Peek("OptPlatform")), string(args.Peek("Sign")), string(args.Peek("RequestTime"))}
		readBody := func() ([]byte, error) { return ctx.PostBody(), nil }
		status, reply := answer(client, ctx.IsPost(), &q, readBody)
		ctx.SetContentType("application/json")
		ctx.SetStatusCode(status)
		ctx.SetBodyString(reply)
	}
	server := fasthttp.Server{
		Handler: handler, NoDefaultServerHeader: true, Concurrency: 100_000, MaxRequestBodySize: maxBody,
	}
	return server.Serve(listener)
}
