// When the real-time clock's alarm goes off next (MC146818A data sheet, "Time, Calendar, and Alarm Locations").
//
// Alarm registers may each hold a "don't care" code (-1 here). The rules for mixed cases, such as an hour with a
// don't-care minute, are those of QEMU 7.2, except that QEMU waits a day when the free fields match right now, where
// the chip waits for the next minute or hour. Registers can hold nonsense that the guest wrote, so nothing is assumed
// to be in range.

export interface TimeOfDay {
  hour: number;
  minute: number;
  second: number;
}

const ANY = -1;
const SECONDS_PER_DAY = 86_400;

/** Seconds from `now` to the next time that matches `alarm`: more than 0, and a day when it matches now. */
export function nextAlarm(alarm: TimeOfDay, now: TimeOfDay): number {
  const { hour, minute, second } = carry(alarm.hour === ANY ? anyHour(alarm, now) : givenHour(alarm, now));
  const seconds = ((hour - now.hour) * 60 + minute - now.minute) * 60 + second - now.second;
  return seconds <= 0 ? seconds + SECONDS_PER_DAY : seconds;
}

/** The hour does not matter: the next hour in which minute and second match. */
function anyHour(alarm: TimeOfDay, now: TimeOfDay): TimeOfDay {
  const next = { ...alarm, hour: now.hour };
  if (alarm.minute === ANY) {
    next.minute = now.minute;
    if (alarm.second === ANY) next.second = now.second + 1;
    else if (now.second >= alarm.second) next.minute++;
  } else if (now.minute === alarm.minute) {
    if (alarm.second === ANY) next.second = now.second + 1;
    else if (now.second >= alarm.second) next.hour++;
    if (next.second === 60) {
      next.second = 0;
      next.hour++;
    }
  } else if (now.minute > alarm.minute) {
    next.hour++;
  }
  return next;
}

/** A given hour: within it the free fields run on, and wrap to the next day. */
function givenHour(alarm: TimeOfDay, now: TimeOfDay): TimeOfDay {
  const next = { ...alarm };
  if (now.hour !== alarm.hour) return next;
  if (alarm.minute === ANY) {
    next.minute = now.minute;
    if (alarm.second === ANY) next.second = now.second + 1;
    else if (now.second >= alarm.second) next.minute++;
    if (next.second === 60) {
      next.second = 0;
      next.minute++;
    }
    next.minute %= 60;
  } else if (now.minute === alarm.minute) {
    if (alarm.second === ANY) next.second = now.second + 1;
    next.second %= 60;
  }
  return next;
}

/** Fields that are still free match at the start of the minute or hour; 60 carries over. */
function carry(time: TimeOfDay): TimeOfDay {
  let { hour, minute, second } = time;
  if (minute === ANY) minute = 0;
  if (second === ANY) second = 0;
  if (second === 60) {
    second = 0;
    minute++;
  }
  if (minute === 60) {
    minute = 0;
    hour++;
  }
  return { hour: hour % 24, minute, second };
}
