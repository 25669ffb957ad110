// Days and dates of the proleptic Gregorian calendar, in integers, for the real-time clock. Host date functions are not
// used: they carry a time zone. Days count from 1970-01-01.
// Left out on purpose: leap seconds and time zones other than a fixed offset.

/** A date and time of day, in the real-time clock's terms: month 1…12, week day 1 = Sunday. */
export interface CivilTime {
  year: number;
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
  second: number;
}

const SECONDS_PER_DAY = 86_400;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH = 719_468;
const DAYS_IN_400_YEARS = 146_097;

/** Seconds since 1970-01-01T00:00:00 of a date; fields out of their range carry over. The weekday is ignored. */
export function secondsOf(time: Omit<CivilTime, 'weekday'>): number {
  // Years start in March, so that the leap day is their last.
  const month = time.month < 3 ? time.month + 9 : time.month - 3;
  const year = time.month < 3 ? time.year - 1 : time.year;
  const leapDays = Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
  const days = 365 * year + leapDays + Math.floor((153 * month + 2) / 5) + time.day - 1 - EPOCH;
  return days * SECONDS_PER_DAY + time.hour * 3600 + time.minute * 60 + time.second;
}

/** The date that lies `seconds` after 1970-01-01T00:00:00. */
export function civilTimeOf(seconds: number): CivilTime {
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const ofDay = seconds - days * SECONDS_PER_DAY;
  const era = Math.floor((days + EPOCH) / DAYS_IN_400_YEARS);
  const ofEra = days + EPOCH - era * DAYS_IN_400_YEARS;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * ofYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: era * 400 + yearOfEra + (month < 3 ? 1 : 0),
    month,
    day: ofYear - Math.floor((153 * shifted + 2) / 5) + 1,
    weekday: ((((days + 4) % 7) + 7) % 7) + 1,
    hour: Math.floor(ofDay / 3600),
    minute: Math.floor(ofDay / 60) % 60,
    second: ofDay % 60,
  };
}

/**
 * Seconds since 1970 of an ISO 8601 time such as `2020-01-01T00:00:00Z`; the time defaults to midnight, the zone to UTC.
 * @throws RangeError when the text is no such time
 */
export function parseIsoTime(text: string): number {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?(?:Z|([+-])(\d\d):?(\d\d))?$/.exec(text);
  if (match === null) throw new RangeError(`not an ISO 8601 time: ${text}`);
  const field = (index: number): number => Number(match[index] ?? 0);
  const fields = {
    year: field(1),
    month: field(2),
    day: field(3),
    hour: field(4),
    minute: field(5),
    second: field(6),
  };
  const seconds = secondsOf(fields);
  // A field out of its range would have carried into another.
  const back = civilTimeOf(seconds);
  const exact = Object.entries(fields).every(([name, value]) => back[name as keyof CivilTime] === value);
  if (!exact) throw new RangeError(`no such time: ${text}`);
  const zone = (field(8) * 60 + field(9)) * 60;
  return match[7] === '-' ? seconds + zone : seconds - zone;
}
