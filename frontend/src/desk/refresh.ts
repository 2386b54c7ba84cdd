import htmx from 'htmx.org'

/*
 * Parts of server-rendered pages that refresh themselves, as their hx- attributes say. Nothing is
 * evaluated, nothing is styled from here, and nothing is kept of earlier pages.
 */
htmx.config.allowEval = false
htmx.config.allowScriptTags = false
htmx.config.includeIndicatorStyles = false
htmx.config.historyEnabled = false
htmx.config.selfRequestsOnly = true
htmx.config.timeout = 30_000

// Whoever has been logged out meanwhile is led to another page, which is no part of this one.
document.addEventListener('htmx:beforeSwap', event => {
  const { detail } = event as CustomEvent<{
    xhr: XMLHttpRequest
    pathInfo: { requestPath: string }
    shouldSwap: boolean
  }>
  const asked = new URL(detail.pathInfo.requestPath, location.href).pathname
  if (new URL(detail.xhr.responseURL, location.href).pathname !== asked) {
    detail.shouldSwap = false
    location.reload()
  }
})
