module penstock.dev/test/kube/pause

go 1.26.0
