// Command go-facts prints what only Go's types tell of Kubernetes' built-in kinds, as JSON: each field's protobuf number, and what
// becomes of an empty value ("" it vanishes, "?" it is kept when set, "!" it is always written). See scripts/generate-sandbox-schemas.ts.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	asv1 "k8s.io/api/autoscaling/v1"
	asv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	extv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type fact struct {
	Number string `json:"number"`
	Empty  string `json:"empty"`
}

var out = map[string]map[string]fact{}

func name(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	n := len(parts)
	return parts[n-2] + "." + parts[n-1] + "." + t.Name()
}

func visit(t reflect.Type) {
	for t.Kind() == reflect.Ptr || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !strings.HasPrefix(t.PkgPath(), "k8s.io/") {
		return
	}
	if _, done := out[name(t)]; done {
		return
	}
	fields := map[string]fact{}
	out[name(t)] = fields
	add(t, fields)
}

func add(t reflect.Type, fields map[string]fact) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		has := func(o string) bool {
			for _, x := range tag[1:] {
				if x == o {
					return true
				}
			}
			return false
		}
		number := ""
		if p := strings.Split(f.Tag.Get("protobuf"), ","); len(p) > 1 {
			number = p[1]
		}
		if has("inline") || (f.Anonymous && tag[0] == "") {
			if f.Type.Kind() == reflect.Struct {
				if f.Type.Name() == "TypeMeta" {
					fields["apiVersion"] = fact{"", ""}
					fields["kind"] = fact{"", ""}
				} else if number != "" {
					inner := map[string]fact{}
					add(f.Type, inner)
					for k, v := range inner {
						fields[k] = fact{number + "." + v.Number, v.Empty}
					}
				} else {
					add(f.Type, fields)
				}
			}
			continue
		}
		if tag[0] == "" || tag[0] == "-" {
			continue
		}
		empty := ""
		switch f.Type.Kind() {
		case reflect.Ptr:
			empty = "?"
			if !has("omitempty") {
				empty = "!"
			}
		case reflect.Struct:
			empty = "!"
			if has("omitzero") {
				empty = "?"
			}
		default:
			if !has("omitempty") {
				empty = "!"
			}
		}
		fields[tag[0]] = fact{number, empty}
		visit(f.Type)
	}
}

func main() {
	for _, o := range []any{corev1.Namespace{}, corev1.Pod{}, corev1.Service{}, corev1.ConfigMap{}, corev1.Secret{}, corev1.ServiceAccount{}, corev1.Event{}, corev1.Node{}, corev1.Binding{}, eventsv1.Event{}, appsv1.Deployment{}, appsv1.ReplicaSet{}, appsv1.ControllerRevision{}, batchv1.Job{}, batchv1.CronJob{}, asv2.HorizontalPodAutoscaler{}, asv1.Scale{}, policyv1.PodDisruptionBudget{}, policyv1.Eviction{}, discv1.EndpointSlice{}, coordv1.Lease{}, rbacv1.Role{}, rbacv1.RoleBinding{}, rbacv1.ClusterRole{}, rbacv1.ClusterRoleBinding{}, authzv1.SubjectAccessReview{}, authzv1.SelfSubjectAccessReview{}, authzv1.LocalSubjectAccessReview{}, authzv1.SelfSubjectRulesReview{}, authnv1.SelfSubjectReview{}, extv1.CustomResourceDefinition{}, metav1.DeleteOptions{}} {
		visit(reflect.TypeOf(o))
	}
	b, err := json.Marshal(out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(b)
}
