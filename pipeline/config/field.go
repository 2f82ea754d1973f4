package config

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

// field is one key of a struct: what the decoder, the schema and the
// documentation know of it.
type field struct {
	name  string
	index []int
	typ   reflect.Type
	doc   string
	enum  []string
}

// fieldsOf lists the keys of a struct in its order, those of inlined structs in
// their place.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opt, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		inline := strings.Contains(opt, "inline")
		switch {
		case !sf.IsExported() && !(sf.Anonymous && inline), name == "-":
			continue
		case inline && sf.Type.Kind() == reflect.Struct:
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fs = append(fs, f)
			}
			continue
		case name == "":
			name = strings.ToLower(sf.Name)
		}
		f := field{name: name, index: []int{i}, typ: sf.Type, doc: sf.Tag.Get("doc")}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		fs = append(fs, f)
	}
	return fs
}

var (
	posType      = reflect.TypeFor[Pos]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	packageType  = reflect.TypeFor[Package]()
	siteType     = reflect.TypeFor[Site]()
	serviceType  = reflect.TypeFor[Service]()
	channelsType = reflect.TypeFor[Channels]()
	channelType  = reflect.TypeFor[Channel]()
)

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// wanted names for people what a value of t is written as.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[formats.Platform]():
		return "a platform such as linux/amd64"
	case reflect.TypeFor[Bytes]():
		return "a size such as 900MB"
	case reflect.TypeFor[Mode]():
		return "an octal mode such as 0755"
	case reflect.TypeFor[Duration](), durationType:
		return "a length of time such as 24h"
	case channelsType:
		return "a mapping"
	}
	if isText(t) {
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping"
}

// sectionNames are the keys that a package or a site has beside its fields.
func (o *Options) sectionNames(t reflect.Type) []string {
	var names []string
	if o == nil {
		return nil
	}
	switch t {
	case packageType:
		for _, k := range o.Formats {
			names = append(names, k.Name)
		}
	case siteType:
		names = o.clientNames()
		for _, k := range o.Places {
			names = append(names, k.Name)
			if k.Name == tapPlace {
				names = append(names, "tap")
			}
		}
	}
	return names
}

// tapPlace is the kind of place whose options the key tap has, too.
const tapPlace = "git"

func (o *Options) clientNames() []string {
	var names []string
	for _, k := range o.Clients {
		names = append(names, k.Name)
	}
	return names
}
