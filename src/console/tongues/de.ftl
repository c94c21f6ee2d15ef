# Was das Telefon der Kundschaft sagt, auf Deutsch.

join = Mitmachen
join-what = Mit einem Code auf dem Telefon hineingehen, nehmen, was man braucht, und hinausgehen. Den Warenkorb sieht man beim Einkaufen.
join-name = Ein Name für das Konto
join-name-hint = Eine E-Mail-Adresse oder irgendein Name. Nur Sie und die Leute, die den Laden betreiben, sehen ihn.
join-password = Ein Passwort
join-password-hint = Mindestens 10 Zeichen.
join-consent = Der Laden darf seine Regale beobachten und wo Menschen stehen, um meinen Warenkorb zu füllen. Er kennt keine Gesichter, und ich kann mein Konto jederzeit löschen.
join-no-consent = Ohne Ihre Einwilligung kann der Laden keinen Warenkorb führen.
joined-before = Schon dabei?
log-in = Anmelden

tab-code = Code
tab-receipts = Belege
tab-you = Sie
tabs = Teile der App
console = Konsole
offline = Ohne Netz

code-and-cart = Ihr Code und Ihr Warenkorb
your-code = Ihr Code
entry-code = Eintrittscode
entry-code-picture = Eintrittscode als QR-Code
half-a-minute = von einer halben Minute
code-making = Ihr Code entsteht …
code-needs-script = Der Code entsteht auf Ihrem Telefon; dazu braucht es JavaScript.
code-hold = Halten Sie ihn vor die Schranke. Jede halbe Minute ist er neu.
code-needs-https = Ein Code kann nur über HTTPS entstehen. Fragen Sie den Laden nach seiner sicheren Adresse.
code-no-keys = Dieser Browser behält keine Schlüssel: verlassen Sie das private Fenster, oder nehmen Sie einen anderen.

your-cart = Ihr Warenkorb
cart-later = Er erscheint hier, sobald Sie im Laden sind.
came-in-at = Gekommen um
nothing-certain = Noch nichts Sicheres
nothing-taken = Noch nichts genommen
total-so-far = Summe bisher
total = Summe
check-not-charged = Was noch geprüft wird, wird nur berechnet, wenn sich jemand sicher ist.
being-checked = wird geprüft
visit-leaving = Sie sind gegangen; der Beleg kommt gleich
visit-draft = Sie sind gegangen; etwas wird noch geprüft
visit-paying = Wird abgerechnet

receipts = Belege
receipts-later = Nach Ihrem ersten Besuch ist der Beleg hier.
items = { $count ->
    [one] { $count } Stück
   *[other] { $count } Stück
}
receipt = Beleg
receipt-lines = Posten
receipt-nothing = Sie haben nichts genommen, und nichts wurde berechnet.
includes-tax = enthält Steuer zu { $rate }
paid = Bezahlt
nothing-to-pay = Nichts zu zahlen
not-paid = Noch nicht bezahlt: der Laden meldet sich
owed = Offen
visit = Besuch { $session }
something-wrong = Stimmt etwas nicht?
what-is-wrong = Was stimmt nicht mit { $product }?
wrong-example = Druckstellen, nicht genommen, verdorben …
ask-back = Geld zurück verlangen
request-open = Gefragt
request-accepted = Erstattet
request-dismissed = Abgelehnt

you = Sie
payment = Bezahlung
phones = Telefone
phones-what = Jedes hat einen eigenen Schlüssel, der die Schranke öffnet. Entfernen Sie eines, das Sie verloren haben.
since = seit
remove = Entfernen
your-data = Ihre Daten
your-data-what = Alles, was der Laden mit Ihnen verbindet: Konto, Telefone, Belege, Anfragen.
as-json = Als JSON
receipts-as-csv = Belege als CSV
language = Sprache
language-keep = Übernehmen
leave = Gehen
log-out = Abmelden
erase = Konto löschen
erase-what = Anmeldung, Telefone, Belege und Anfragen werden endgültig gelöscht. Das Journal behält, was verkauft wurde, unter einer Nummer, die zu niemandem führt.
erase-now = Jetzt löschen
forgotten = Sie sind vergessen
forgotten-what = Ihr Konto ist gelöscht, und damit alles, was von Ihren Besuchen zu Ihnen führte.
