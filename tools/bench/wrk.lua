-- Called once, when wrk has ended: a script that defines nothing else costs
-- wrk nothing per request.
function done(summary, latency, requests)
   local e = summary.errors
   print(string.format(
      'wrk-result: {"requests":%d,"duration_us":%d,"p99_us":%.0f,"errors":%d}',
      summary.requests, summary.duration, latency:percentile(99.0),
      e.connect + e.read + e.write + e.status + e.timeout))
end
