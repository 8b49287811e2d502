/** Fonts of the reader's machine. The style names no `glyphs`, so all text is drawn from these. */
export const FONTS = ['Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'sans-serif'];
