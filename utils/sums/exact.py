"""The context in which amounts are added up."""

from decimal import Context, DivisionByZero, Inexact, InvalidOperation, Overflow

# DynamoDB's numbers have 38 digits, between 10^-130 and 10^126: as many sales as there may be of
# them add up in so many digits. Should one ever be lost, that is an error and no other amount.
EXACT = Context(prec=600, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
