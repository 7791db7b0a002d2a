"""What a data set holds and lacks, as numbers, sentences and a page.

`audit.audit` audits several data sets, `findings.findings` counts, `page` writes the page. It sees digests,
thumbnails and labels, never predictions.
"""
