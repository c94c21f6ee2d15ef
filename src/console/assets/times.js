// Times come in UTC; people read their own. What a <time> shows stands in its data-t: full, day, or minute.
const styles = {
  full: new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }),
  day: new Intl.DateTimeFormat(undefined, { dateStyle: 'long' }),
  minute: new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' }),
}

export function localise(root) {
  for (const time of root.querySelectorAll('time')) {
    const at = new Date(time.dateTime)
    if (!isNaN(at)) time.textContent = styles[time.dataset.t ?? 'minute'].format(at)
  }
}
