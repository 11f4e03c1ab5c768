//! The settings file over the years: flat and nested, with what people and Python put into it.

use std::io;

use crate::Folder;
use crate::calendar::utc;

/// Writes every generation; the names sort by time, the live file last.
pub(super) fn write(folder: &Folder) -> io::Result<()> {
    let day = |year, month, day| utc(year, month, day, 6, 0, 0) / 1000;
    folder.write("config-20230110.json", OLDEST.as_bytes(), day(2023, 1, 10))?;
    folder.write("config-20230512.json", FLAT.as_bytes(), day(2023, 5, 12))?;
    // The same settings, saved by another program: only the order of keys and the blanks differ.
    folder.write("config-20230513.json", FLAT_REORDERED.as_bytes(), day(2023, 5, 13))?;
    folder.write("config-20230901.json", EDITED_BY_HAND.as_bytes(), day(2023, 9, 1))?;
    // Python wrote a number that is none, and reads it back; JSON has no such number.
    folder.write("config-20231002.json", NOT_A_NUMBER.as_bytes(), day(2023, 10, 2))?;
    folder.write("config-20231105.json", &FLAT.as_bytes()[..300], day(2023, 11, 5))?;
    folder.write("config.json", NEWEST.as_bytes(), day(2024, 1, 9))
}

/// Before there were PWM and logging sections.
const OLDEST: &str = r#"{
  "z1": {"kp": 5.0, "ki": 0.1, "kd": 10.0},
  "z2": {"kp": 5.0, "ki": 0.1, "kd": 10.0},
  "dm556": {"microsteps": 1600, "current_peak": 2.7, "idle_half": true},
  "pins": {"ssr_z1": 17, "ssr_z2": 27, "ssr_fan": 22, "ssr_pump": 23, "step_main": 5, "dir_main": 6, "step_feed": 13, "dir_feed": 19, "alm_main": 16},
  "extruder_sequence": {"start_delay_feed": 2.0, "stop_delay_motor": 5.0, "check_temp_before_start": true}
}
"#;

/// With PWM at an address that is outside of seven bits.
const FLAT: &str = r#"{
  "z1": {"kp": 5.0, "ki": 0.12, "kd": 10.0},
  "z2": {"kp": 5.0, "ki": 0.1, "kd": 10.0},
  "dm556": {"microsteps": 1600, "current_peak": 2.7, "idle_half": true},
  "pins": {"ssr_z1": 17, "ssr_z2": 27, "ssr_fan": 22, "ssr_pump": 23, "step_main": 5, "dir_main": 6, "step_feed": 13, "dir_feed": 19, "alm_main": 16},
  "pwm": {"enabled": true, "bus": 1, "address": 128, "frequency": 1000, "channels": {"fan": 0, "fan_nozzle": 1, "pump": 2, "led_status": 3}},
  "logging": {"interval": 0.25, "flush_interval": 60.0},
  "extruder_sequence": {"start_delay_feed": 2.0, "stop_delay_motor": 5.0, "check_temp_before_start": true}
}
"#;

const FLAT_REORDERED: &str = r#"{"extruder_sequence":{"check_temp_before_start":true,"stop_delay_motor":5,"start_delay_feed":2.00},
"logging":{"flush_interval":6e1,"interval":0.25},
"pwm":{"channels":{"led_status":3,"pump":2,"fan_nozzle":1,"fan":0},"frequency":1000,"address":128,"bus":1,"enabled":true},
"pins":{"alm_main":16,"dir_feed":19,"step_feed":13,"dir_main":6,"step_main":5,"ssr_pump":23,"ssr_fan":22,"ssr_z2":27,"ssr_z1":17},
"dm556":{"idle_half":true,"current_peak":2.70,"microsteps":1600},
"z2":{"kd":10.0,"ki":0.10,"kp":5.0},
"z1":{"kd":10.0,"ki":0.12,"kp":5.0}}"#;

/// Booleans as strings (the program took `"false"` for true), and a key nobody knows.
const EDITED_BY_HAND: &str = r#"{
  "z1": {"kp": 5.0, "ki": 0.12, "kd": 10.0},
  "z2": {"kp": 5.0, "ki": 0.1, "kd": 10.0},
  "dm556": {"microsteps": 1600, "current_peak": 2.7, "idle_half": "false"},
  "pwm": {"enabled": "true", "bus": 1, "address": 64, "frequency": 1000, "channels": {"fan": 0, "fan_nozzle": 1, "pump": 2, "led_status": 3}},
  "logging": {"interval": 0.25, "flush_interval": 60.0},
  "Kühlung": {"Lüfter": "an", "since": "2023-09-01"}
}
"#;

const NOT_A_NUMBER: &str = r#"{
  "z1": {"kp": 5.0, "ki": NaN, "kd": 10.0},
  "z2": {"kp": 5.0, "ki": 0.1, "kd": Infinity}
}
"#;

/// Pins may be null; the sequence is a list of steps; sensors have keys that are numbers in text.
const NEWEST: &str = r#"{
    "z1": {"kp": 5.0, "ki": 0.1, "kd": 10.0},
    "z2": {"kp": 5.0, "ki": 0.1, "kd": 10.0},
    "dm556": {"microsteps": 1600, "current_peak": 2.7, "idle_half": true},
    "pins": {"ssr_z1": null, "ssr_z2": null, "ssr_fan": null, "ssr_pump": null, "peltier": null, "step_main": 5, "dir_main": 6, "en_main": null, "step_feed": 13, "dir_feed": 19, "en_feed": null, "alm_main": 16, "btn_start": 25, "btn_emergency": 8, "led_status": null, "led_red": null, "led_green": null, "led_yellow": null},
    "pwm": {"enabled": true, "bus": 1, "address": 64, "frequency": 1000, "channels": {"z1": 0, "z2": 1, "fan": 2, "fan_nozzle": 3, "pump": 4, "led_status": 5, "peltier": 6}},
    "sensors": {
        "0": {"enabled": true, "logical": "t1", "r_fixed": 100000.0, "r_25": 100000.0, "beta": 3950.0, "v_ref": 3.3, "wiring": "ntc_to_gnd", "decimals": 1, "cal_points": [{"raw_temp": 21.4, "true_temp": 20.0}]},
        "1": {"enabled": true, "logical": "t2", "r_fixed": 100000.0, "r_25": 100000.0, "beta": 3950.0, "v_ref": 3.3, "wiring": "ntc_to_gnd", "decimals": 1, "cal_points": []},
        "2": {"enabled": true, "logical": "t3", "r_fixed": 100000.0, "r_25": 100000.0, "beta": 3950.0, "v_ref": 3.3, "wiring": "ntc_to_gnd", "decimals": 1, "cal_points": []},
        "3": {"enabled": true, "logical": "motor", "r_fixed": 100000.0, "r_25": 100000.0, "beta": 3950.0, "v_ref": 3.3, "wiring": "ntc_to_gnd", "decimals": 1, "cal_points": []}
    },
    "adc": {"enabled": true, "bus": 1, "address": 72, "fsr": 4.096},
    "temp_settings": {"poll_interval": 0.25, "avg_window": 2.0, "use_average": true, "decimals_default": 1, "freshness_timeout": 1.0},
    "logging": {"interval": 0.25, "flush_interval": 60.0, "max_buffer_size": 1000, "flush_retry_attempts": 3, "flush_retry_delay": 0.5},
    "extruder_sequence": {
        "startup": [{"device": "main_motor", "action": "on", "delay": 0.0, "enabled": true}, {"device": "feed_motor", "action": "on", "delay": 2.0, "enabled": true}],
        "shutdown": [{"device": "feed_motor", "action": "off", "delay": 0.0, "enabled": true}, {"device": "main_motor", "action": "off", "delay": 5.0, "enabled": true}],
        "emergency": [{"device": "main_motor", "action": "off", "delay": 0.0, "enabled": true}],
        "check_temp_before_start": true
    },
    "motion": {"ramp_up": 1.5, "ramp_down": 1.0, "max_accel": 250.0, "max_jerk": 0.0}
}
"#;
