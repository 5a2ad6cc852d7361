"""The attributes that the Sale Module knows of each kind of item, and what a load writes in them.

An item that has been changed may have got one of them besides those that were written; so a
condition that an item is as it was names all of them (load/writing/conditions.py). `PK` and `SK`
are left out: they are the key. `deletedAt` is the API's soft delete, `ttl` its expiry in the sales
table; a migrated item never has them. What is not listed as something else is a String. A test
keeps these lists equal to the schemas of validation.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BUYER = _words(
    """
    GSI1PK GSI1SK GSI2PK GSI2SK address bankDetails buyerId city code companyName country
    createdAt createdBy currency defaultOperator defaultPaymentMethod defaultPaymentTerms
    deletedAt email fax fiscalCode industrialGroup lastSaleDate legacy legacyId mainContact
    notes pec phone poBox postalCode preferredLanguage province sdi sector status subName
    totalRevenue totalSales updatedAt updatedBy vatExempt vatNumber website
    """
)

_PRODUCER = _words(
    """
    GSI1PK GSI1SK GSI2PK GSI2SK address bankDetails city code companyName country createdAt
    createdBy defaultOperator deletedAt diameterRange email fax fiscalCode lastSaleDate legacy
    legacyId mainContact markets materials maxLength notes pec phone poBox postalCode
    preferredLanguage producerId productionArea products province qualityAssurance quantity
    revenuePercentage sdi standardProducts status subName totalSales updatedAt updatedBy
    vatNumber website
    """
)

_SALE = _words(
    """
    GSI1PK GSI1SK GSI2PK GSI2SK GSI3PK GSI3SK GSI4PK GSI4SK attachInvoice bank buyerAddress
    buyerCity buyerCountry buyerFiscalCode buyerId buyerName buyerPostalCode buyerProvince
    buyerVatNumber coBankDescription coBankIban createdAt createdBy currency deletedAt
    deliveryDate deliveryMethod deliveryNote dnDate dnDate2 dnDate3 dnNumber dnNumber2
    dnNumber3 docType internalNotes invoiceGenerated invoiceGeneratedAt invoiceNumber
    ivaPercentage legacy legacyId linesCount notes numberT paCigNumber paCupNumber package
    paymentDate paymentMethod paymentNote paymentTerms pdfFontBase poDate poNumber printedNote
    producerAddress producerCity producerCountry producerFiscalCode producerId producerName
    producerPostalCode producerProvince producerVatNumber referenceNumber regNumber
    registrationDate saleDate saleId saleNumber status subtotal taxAmount total ttl updatedAt
    updatedBy vatOff year
    """
)

_LINE = _words(
    """
    createdAt createdBy deletedAt discount discountAmount legacy legacyId lineId lineNumber
    netAmount notes productCode productDescription quantity saleId taxAmount taxRate
    totalAmount ttl unitOfMeasure unitPrice updatedAt updatedBy
    """
)


NEVER_WRITTEN = frozenset({"deletedAt", "ttl"})
NUMBERS = _words(
    """
    discount discountAmount ivaPercentage lineNumber linesCount netAmount numberT pdfFontBase
    quantity revenuePercentage saleNumber subtotal taxAmount taxRate total totalAmount
    totalRevenue totalSales unitPrice year
    """
)
FLAGS = frozenset({"attachInvoice", "invoiceGenerated"})
MAPS = frozenset({"legacy"})
# Texts that are "" where S9 does not know them.
MAY_BE_EMPTY = _words(
    """
    address buyerAddress buyerCity buyerFiscalCode buyerPostalCode buyerProvince buyerVatNumber
    city fiscalCode postalCode producerAddress producerCity producerFiscalCode
    producerPostalCode producerProvince producerVatNumber province vatNumber
    """
)
# Texts that may have more than the 1,024 bytes of a sort key.
MAY_BE_LONG = _words(
    """
    bank bankDetails buyerAddress buyerCity buyerFiscalCode buyerName buyerPostalCode
    buyerProvince buyerVatNumber coBankDescription code createdBy defaultPaymentMethod
    defaultPaymentTerms deliveryMethod deliveryNote diameterRange email fiscalCode internalNotes
    invoiceNumber markets materials maxLength notes package paymentMethod paymentNote
    paymentTerms pec postalCode printedNote producerAddress producerCity producerFiscalCode
    producerName producerPostalCode producerProvince producerVatNumber productDescription
    productionArea products province qualityAssurance referenceNumber regNumber standardProducts
    unitOfMeasure updatedBy vatNumber vatOff website
    """
)
_IN_TABLE = {
    "buyers": {"buyers": _BUYER},
    "producers": {"producers": _PRODUCER},
    "sales": {"sales": _SALE, "lines of sales": _LINE},
}
_KEYS = frozenset({"PK", "SK"})


def writers_of(entity: str, attribute: str) -> list[str]:
    """The kinds of items, in words, that a load of an entity writes with an attribute."""
    return [
        words
        for words, known in _IN_TABLE[entity].items()
        if attribute in (known | _KEYS) - NEVER_WRITTEN
    ]


def type_of(entity: str, attribute: str) -> str:
    """The type of DynamoDB's in which a load of an entity writes an attribute."""
    if (entity, attribute) == ("producers", "quantity"):  # a size of order; a number in lines
        return "S"
    if attribute in NUMBERS:
        return "N"
    if attribute in FLAGS:
        return "BOOL"
    return "M" if attribute in MAPS else "S"


def known_attributes(pk: str, sk: str) -> frozenset[str]:
    """The attributes of the kind of item that has this key; none for an unknown kind."""
    if sk.startswith("LINE#"):
        return _LINE
    kinds = {"BUYER": _BUYER, "PRODUCER": _PRODUCER, "SALE": _SALE}
    return kinds.get(pk.partition("#")[0], frozenset())
