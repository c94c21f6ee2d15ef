# What the shopper's phone says, in English. Every file beside this one has the same messages with the same variables.

join = Join
join-what = Walk in with a code on your phone, take what you need, and walk out. You see your cart while you shop.
join-name = A name for your account
join-name-hint = An e-mail address or any name. Only you and the store's operators see it.
join-password = A password
join-password-hint = At least 10 characters.
join-consent = The store may watch its shelves and where people stand to make up my cart. It knows no faces, and I can erase my account at any time.
join-no-consent = Without your consent the store can make up no cart.
joined-before = Joined before?
log-in = Log in

tab-code = Code
tab-receipts = Receipts
tab-you = You
tabs = Parts of the app
console = Console
offline = Offline

code-and-cart = Your code and your cart
your-code = Your code
entry-code = Entry code
entry-code-picture = Entry code as a QR code
half-a-minute = of half a minute
code-making = Making your code …
code-needs-script = The code is made on your phone, which needs JavaScript.
code-hold = Hold it before the gate. It is new every half minute.
code-needs-https = A code can be made only over HTTPS. Ask the store for its secure address.
code-no-keys = This browser keeps no keys: leave private browsing, or use another.

your-cart = Your cart
cart-later = It appears here as soon as you are inside.
came-in-at = You came in at
nothing-certain = Nothing certain yet
nothing-taken = Nothing taken yet
total-so-far = Total so far
total = Total
check-not-charged = What is being checked is not charged unless somebody is sure of it.
being-checked = being checked
visit-leaving = You have left; the receipt comes in a moment
visit-draft = You have left; something is being checked
visit-paying = Being charged

receipts = Receipts
receipts-later = After your first visit the receipt is here.
items = { $count ->
    [one] { $count } item
   *[other] { $count } items
}
receipt = Receipt
receipt-lines = Lines
receipt-nothing = You took nothing, and nothing was charged.
includes-tax = includes tax at { $rate }
paid = Paid
nothing-to-pay = Nothing to pay
not-paid = Not paid yet: the store will get in touch
owed = Owed
visit = Visit { $session }
something-wrong = Something wrong?
what-is-wrong = What is wrong with { $product }?
wrong-example = bruised, not taken, spoilt …
ask-back = Ask for the money back
request-open = Asked
request-accepted = Refunded
request-dismissed = Declined

you = You
payment = Payment
phones = Phones
phones-what = Each has a key of its own, which opens the gate. Remove one that you have lost.
since = since
remove = Remove
your-data = Your data
your-data-what = Everything that the store ties to you: account, phones, receipts, requests.
as-json = As JSON
receipts-as-csv = Receipts as CSV
language = Language
language-keep = Use it
leave = Leave
log-out = Log out
erase = Erase the account
erase-what = Your login, phones, receipts and requests are deleted for good. The journal keeps what was sold, under a number that leads to nobody.
erase-now = Erase it now
forgotten = You are forgotten
forgotten-what = Your account is erased, and with it whatever led from your visits to you.
