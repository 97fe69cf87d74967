package dashboards

import "strings"

// The parts of a link that keep the time range and the choices.
const (
	keepTime    = "${__url_time_range}"
	keepHost    = "${host:queryparam}"
	keepService = "${service:queryparam}"
)

// to returns a link to another dashboard of this folder.
func to(uid, title string, with ...string) Link {
	return Link{Title: title, URL: "/d/" + uid + "?" + strings.Join(append([]string{keepTime}, with...), "&")}
}

var (
	toWhere   = to(uidWhere, "Where the time goes", keepHost)
	toService = to(uidService, "Service", keepHost, keepService)
	toWorkers = to(uidWorkers, "Workers", keepHost, keepService)
	toRequest = to(uidRequest, "One request", keepHost, keepService)

	// The links of a row or a line of one service, of a trace in a table, and
	// of a dot that stands for a trace.
	toThisService = to(uidService, "Service ${__field.labels.service_name}", keepHost, "var-service=${__field.labels.service_name}")
	toRowService  = to(uidService, "Service ${__data.fields.service_name}", keepHost, "var-service=${__data.fields.service_name}")
	toThisTrace   = to(uidRequest, "This request", keepHost, keepService, "var-trace=${__value.raw}")
)
