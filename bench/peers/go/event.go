package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fastjson"
	"golang.org/x/crypto/blake2b"
)

// field is the platform's name and that in the data of the event.
type field struct{ theirs, ours string }

// kind is what becomes of a command.
type kind struct {
	event, subject string
	identity       []string
	fields         []field
}

var kinds = map[string]kind{
	"C2C.CallbackAfterMsgWithDraw": {
		"im.c2c.message.recalled", "To_Account", []string{"From_Account", "To_Account", "MsgKey"},
		[]field{{"From_Account", "from_account"}, {"To_Account", "to_account"}, {"MsgKey", "msg_key"},
			{"UnreadMsgNum", "unread_total"}},
	},
	"C2C.CallbackAfterSendMsg": {
		"im.c2c.message.sent", "To_Account", []string{"From_Account", "To_Account", "MsgKey", "SendMsgResult"},
		[]field{{"From_Account", "from_account"}, {"To_Account", "to_account"}, {"MsgSeq", "msg_seq"},
			{"MsgRandom", "msg_random"}, {"MsgTime", "msg_time"}, {"MsgKey", "msg_key"},
			{"SendMsgResult", "send_msg_result"}, {"ErrorInfo", "error_info"}, {"UnreadMsgNum", "unread_total"},
			{"MsgBody", "msg_body"}},
	},
	"C2C.CallbackAfterMsgReport": {
		"im.c2c.conversation.read", "Report_Account",
		[]string{"Report_Account", "Peer_Account", "LastReadTime", "EventTime"},
		[]field{{"Report_Account", "report_account"}, {"Peer_Account", "peer_account"},
			{"LastReadTime", "last_read_time"}, {"UnreadMsgNum", "unread_total"}},
	},
}

const rfc3339Millis = "2006-01-02T15:04:05.000Z"

var (
	errBody     = errors.New("not a body of a known command")
	contentType = []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json")}}
	parsers     fastjson.ParserPool
	identities  = sync.Pool{New: func() any { return new([]byte) }}
)

// normalize makes the record of a callback.
func normalize(q *query, body []byte, now time.Time) (*kgo.Record, error) {
	kind, known := kinds[q.command]
	if !known {
		return nil, errBody
	}
	parser := parsers.Get()
	defer parsers.Put(parser)
	fields, err := parser.ParseBytes(body)
	if err != nil {
		return nil, err
	}
	subject := fields.GetStringBytes(kind.subject)
	if len(subject) == 0 {
		return nil, errBody
	}
	id, err := eventID(q.command, kind.identity, fields)
	if err != nil {
		return nil, err
	}
	at := now
	if milliseconds := fields.GetInt64("EventTime"); milliseconds > 0 {
		at = time.UnixMilli(milliseconds).UTC()
	}
	out := make([]byte, 0, 1024)
	out = append(out, `{"specversion":"1.0","id":"`...)
	out = hex.AppendEncode(out, id)
	out = append(out, `","source":"/tencent-im/`+appID+`","type":"`...)
	out = append(out, kind.event...)
	out = append(out, `","subject":`...)
	out = appendString(out, subject)
	out = append(out, `,"time":"`...)
	out = at.AppendFormat(out, rfc3339Millis)
	out = append(out, `","datacontenttype":"application/json","dataschema":"urn:im-bridge:schemas/`...)
	out = append(out, kind.event...)
	out = append(out, `.json","callbackcommand":"`...)
	out = append(out, q.command...)
	out = append(out, `","receivedtime":"`...)
	out = now.AppendFormat(out, rfc3339Millis)
	out = append(out, `","platform":`...)
	out = appendString(out, []byte(strings.ToLower(q.platform)))
	out = append(out, `,"clientip":`...)
	out = appendString(out, []byte(q.clientIP))
	out = append(out, `,"data":{`...)
	out = appendData(out, kind.fields, fields)
	out = append(out, '}', '}')
	return &kgo.Record{Key: bytes.Clone(subject), Value: out, Headers: contentType, Timestamp: now}, nil
}

func appendData(out []byte, names []field, fields *fastjson.Value) []byte {
	first := true
	for _, name := range names {
		value := fields.Get(name.theirs)
		if value == nil {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(append(append(out, '"'), name.ours...), '"', ':')
		if value.Type() == fastjson.TypeString {
			out = appendString(out, value.GetStringBytes())
		} else {
			out = value.MarshalTo(out)
		}
	}
	return out
}

func appendString(out, text []byte) []byte {
	special := func(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }
	if slices.ContainsFunc(text, special) || !utf8.Valid(text) {
		var arena fastjson.Arena
		return arena.NewStringBytes(bytes.ToValidUTF8(text, []byte("\ufffd"))).MarshalTo(out)
	}
	return append(append(append(out, '"'), text...), '"')
}

// eventID is the id that the bridge gives: BLAKE2b over the app, the command and the identity, as MessagePack.
func eventID(command string, names []string, fields *fastjson.Value) ([]byte, error) {
	scratch := identities.Get().(*[]byte)
	defer identities.Put(scratch)
	packed := append((*scratch)[:0], 0x90|byte(2+len(names)))
	packed = packString(packString(packed, []byte(appID)), []byte(command))
	for _, name := range names {
		value := fields.Get(name)
		if value == nil {
			return nil, errBody
		}
		if value.Type() == fastjson.TypeString {
			packed = packString(packed, value.GetStringBytes())
		} else if number, err := value.Uint64(); err == nil {
			packed = packNumber(packed, number)
		} else {
			return nil, err
		}
	}
	*scratch = packed
	digest, err := blake2b.New(16, nil)
	if err != nil {
		return nil, err
	}
	digest.Write(packed)
	return digest.Sum(nil), nil
}

func packString(out, text []byte) []byte {
	switch size := len(text); {
	case size < 32:
		out = append(out, 0xa0|byte(size))
	case size < 1<<8:
		out = append(out, 0xd9, byte(size))
	default:
		out = append(out, 0xda, byte(size>>8), byte(size))
	}
	return append(out, text...)
}

func packNumber(out []byte, number uint64) []byte {
	code, size := byte(0xcf), 8
	switch {
	case number < 1<<7:
		return append(out, byte(number))
	case number < 1<<8:
		code, size = 0xcc, 1
	case number < 1<<16:
		code, size = 0xcd, 2
	case number < 1<<32:
		code, size = 0xce, 4
	}
	out = append(out, code)
	for shift := 8 * (size - 1); shift >= 0; shift -= 8 {
		out = append(out, byte(number>>shift))
	}
	return out
}
