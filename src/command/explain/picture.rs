pub fn draw(
    _: &super::played::Played<'_>,
    _: &super::played::Change,
    _: &super::story::Story,
) -> anyhow::Result<String> {
    Ok(String::new())
}
