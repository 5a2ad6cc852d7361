"""Which attributes each canonical column becomes: what has a place in the target.

A column that is not named here has none. The mapping report lists these places, and a layout that
carries the rest along (`legacy`) goes by them.
"""

from __future__ import annotations

from collections.abc import Mapping

ColumnTargets = Mapping[str, str]


def _named(attributes: str) -> dict[str, str]:
    """Places from text: the attribute, or those of a column, each "column=attribute,attribute"."""
    return dict(pair.split("=") for pair in attributes.split())


_STAMPS = "created_at=createdAt updated_at=updatedAt created_by=createdBy updated_by=updatedBy"
_PARTY = f"""
    name=companyName country=country enabled=status code=code sub_name=subName
    vat_number=vatNumber fiscal_code=fiscalCode sdi_code=sdi pec=pec address=address po_box=poBox
    city=city province=province postal_code=postalCode email=email phone=phone fax=fax
    website=website main_contact=mainContact notes=notes bank_details=bankDetails
    preferred_language=preferredLanguage default_operator=defaultOperator {_STAMPS}
"""

COLUMN_TARGETS: Mapping[str, ColumnTargets] = {
    "buyers": _named(f"""
        first_id=legacyId,buyerId {_PARTY} industrial_group=industrialGroup sector=sector
        vat_exempt=vatExempt currency=currency payment_method=defaultPaymentMethod
        payment_terms=defaultPaymentTerms
    """),
    "producers": _named(f"""
        first_id=legacyId,producerId {_PARTY} revenue_percentage=revenuePercentage
        quality_assurance=qualityAssurance production_area=productionArea markets=markets
        materials=materials products=products standard_products=standardProducts
        diameter_range=diameterRange max_length=maxLength quantity=quantity
    """),
    "sales": _named(f"""
        first_id=legacyId,saleId sale_number=saleNumber reg_number=regNumber doc_type=docType
        sale_date=saleDate buyer_id=buyerId buyer_name=buyerName producer_id=producerId
        producer_name=producerName subtotal=subtotal tax_amount=taxAmount total=total
        payment_method=paymentMethod payment_terms=paymentTerms delivery_method=deliveryMethod
        delivery_date=deliveryDate po_date=poDate payment_date=paymentDate dn_date=dnDate
        dn_date2=dnDate2 dn_date3=dnDate3 registration_date=registrationDate notes=notes
        internal_notes=internalNotes printed_note=printedNote package=package
        delivery_note=deliveryNote payment_note=paymentNote reference_number=referenceNumber
        po_number=poNumber dn_number=dnNumber dn_number2=dnNumber2 dn_number3=dnNumber3
        pa_cup_number=paCupNumber pa_cig_number=paCigNumber bank=bank
        co_bank_description=coBankDescription co_bank_iban=coBankIban vat_off=vatOff
        invoice_number=invoiceNumber iva_percentage=ivaPercentage currency=currency status=status
        invoice_generated=invoiceGenerated number_t=numberT year=year {_STAMPS}
    """),
    "lines": _named(f"""
        id=legacyId,lineId msg_id=saleId line_number=lineNumber product_code=productCode
        product_description=productDescription quantity=quantity unit_price=unitPrice
        discount=discount discount_amount=discountAmount net_amount=netAmount tax_rate=taxRate
        tax_amount=taxAmount total_amount=totalAmount unit_of_measure=unitOfMeasure notes=notes
        {_STAMPS}
    """),
}
