// Numbers of the VGA's indexed registers (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"): AR
// attribute controller, SR sequencer, GR graphics controller, CR CRT controller. Those that nothing here looks at are
// stored and read back, and have no name.

/** Attribute controller registers. */
export const AR_MODE = 0x10;
export const AR_PLANE_ENABLE = 0x12;
export const AR_COLOR_SELECT = 0x14;
/** Sequencer registers. */
export const SR_CLOCK_MODE = 1;
export const SR_PLANE_WRITE = 2;
export const SR_CHARACTER_MAP = 3;
export const SR_MEMORY_MODE = 4;
/** Graphics controller registers. */
export const GR_SET_RESET = 0;
export const GR_SET_RESET_ENABLE = 1;
export const GR_COMPARE = 2;
export const GR_ROTATE = 3;
export const GR_READ_PLANE = 4;
export const GR_MODE = 5;
export const GR_MISC = 6;
export const GR_DONT_CARE = 7;
export const GR_BIT_MASK = 8;
/** CRT controller registers. */
export const CR_DISPLAY_END = 0x01;
export const CR_VERTICAL_TOTAL = 0x06;
export const CR_OVERFLOW = 0x07;
export const CR_MAX_SCAN = 0x09;
export const CR_CURSOR_START = 0x0a;
export const CR_CURSOR_END = 0x0b;
export const CR_START_HIGH = 0x0c;
export const CR_START_LOW = 0x0d;
export const CR_CURSOR_HIGH = 0x0e;
export const CR_CURSOR_LOW = 0x0f;
export const CR_SYNC_END = 0x11;
export const CR_VERTICAL_END = 0x12;
export const CR_OFFSET = 0x13;
export const CR_MODE = 0x17;
export const CR_LINE_COMPARE = 0x18;
