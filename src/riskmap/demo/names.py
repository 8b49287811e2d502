"""Invented Chinese names with their pinyin, none used twice in a city."""

from __future__ import annotations

from typing import Final

import numpy as np


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Read pairs of characters and pinyin."""
    return tuple((zh, en) for zh, _, en in (pair.partition(":") for pair in text.split()))


# Pairs of character and pinyin. First and second syllables are kept apart so that the names read
# like places; 70 x 58 of them make more than 4,000 names.
FIRST: Final = _pairs(
    """
    云:yun 澜:lan 沧:cang 汐:xi 屿:yu 岚:lan 霁:ji 瑞:rui 禾:he 松:song 柏:bai 枫:feng 桐:tong
    梧:wu 榆:yu 槐:huai 柳:liu 荷:he 菱:ling 莲:lian 芦:lu 茗:ming 兰:lan 蕙:hui 芷:zhi 棠:tang
    杏:xing 桃:tao 梨:li 橙:cheng 银:yin 玉:yu 珠:zhu 璞:pu 琼:qiong 青:qing 碧:bi 翠:cui 丹:dan
    紫:zi 白:bai 墨:mo 霞:xia 晓:xiao 晨:chen 暮:mu 星:xing 月:yue 虹:hong 雁:yan 鹭:lu 鹤:he 鸥:ou
    燕:yan 鲤:li 锦:jin 绣:xiu 书:shu 砚:yan 琴:qin 安:an 宁:ning 泰:tai 丰:feng 裕:yu 祥:xiang
    嘉:jia 德:de 仁:ren 义:yi 和:he 顺:shun 永:yong 长:chang 新:xin 望:wang 听:ting 临:lin 上:shang
    下:xia 东:dong 西:xi 南:nan 北:bei
    """
)
SECOND: Final = _pairs(
    """
    泉:quan 溪:xi 塘:tang 浦:pu 湾:wan 洲:zhou 渚:zhu 滩:tan 汀:ting 泊:bo 津:jin 渡:du 桥:qiao
    堤:di 埠:bu 崖:ya 峰:feng 岗:gang 坡:po 坪:ping 岩:yan 台:tai 谷:gu 峪:yu 坞:wu 原:yuan 野:ye
    田:tian 畈:fan 园:yuan 圃:pu 林:lin 坊:fang 里:li 巷:xiang 亭:ting 阁:ge 楼:lou 堂:tang 苑:yuan
    庭:ting 门:men 城:cheng 集:ji 店:dian 铺:pu 屯:tun 营:ying 庄:zhuang 寨:zhai 垣:yuan 井:jing
    陂:bei 川:chuan 源:yuan 阳:yang 湖:hu 沟:gou 岛:dao
    """
)
SURNAMES: Final = _pairs(
    """
    赵:zhao 钱:qian 孙:sun 李:li 周:zhou 吴:wu 郑:zheng 王:wang 冯:feng 陈:chen 褚:chu 卫:wei
    蒋:jiang 沈:shen 韩:han 杨:yang 朱:zhu 秦:qin 许:xu 何:he 吕:lv 张:zhang 孔:kong 曹:cao
    严:yan 魏:wei 陶:tao 姜:jiang 谢:xie 邹:zou 苏:su 潘:pan 范:fan 彭:peng 鲁:lu 马:ma 方:fang
    袁:yuan 唐:tang 薛:xue 雷:lei 贺:he 罗:luo 毕:bi 郝:hao 常:chang 齐:qi 伍:wu 余:yu 顾:gu
    孟:meng 黄:huang 萧:xiao 尹:yin 姚:yao 邵:shao 汪:wang 毛:mao 戴:dai 宋:song 庞:pang
    """
)
HAMLETS: Final = _pairs(
    """
    家庄:jiazhuang 家沟:jiagou 家湾:jiawan 家屯:jiatun 家坪:jiaping 家埠:jiabu
    """
)
# Of the core first; a city takes as many as it needs of each kind, in a shuffled order.
CORE: Final = (
    ("港城", "Gangcheng"),
    ("澜湾", "Lanwan"),
    ("汐浦", "Xipu"),
    ("鸥洲", "Ouzhou"),
    ("望津", "Wangjin"),
    ("启澜", "Qilan"),
)
OUTER: Final = (
    ("云岭", "Yunling"),
    ("禾川", "Hechuan"),
    ("岚源", "Lanyuan"),
    ("松陂", "Songbei"),
    ("霁原", "Jiyuan"),
    ("沧屿", "Cangyu"),
    ("芦汀", "Luting"),
    ("碧渚", "Bizhu"),
    ("桐垣", "Tongyuan"),
    ("雁坪", "Yanping"),
)
HIGH_TECH: Final = ("高新", "High-tech Zone")


class Names:
    """Gives out names, each once."""

    def __init__(self, random: np.random.Generator) -> None:
        pairs = [(first, second) for first in FIRST for second in SECOND if first[1] != second[1]]
        hamlets = [(name, kind) for name in SURNAMES for kind in HAMLETS]
        # Names of the districts stay theirs alone.
        taken = {name for name, _ in (*CORE, *OUTER)}
        self._places = [
            (first[0] + second[0], (first[1] + second[1]).capitalize())
            for first, second in (pairs[i] for i in random.permutation(len(pairs)))
            if first[0] + second[0] not in taken
        ]
        self._hamlets = [
            (surname[0] + kind[0], (surname[1] + kind[1]).capitalize())
            for surname, kind in (hamlets[i] for i in random.permutation(len(hamlets)))
        ]

    def place(self, ending: str = "", ending_en: str = "") -> tuple[str, str]:
        """Return a name such as 云泉镇 and Yunquan Town."""
        name, name_en = self._places.pop()
        return name + ending, f"{name_en} {ending_en}".strip()

    def hamlet(self) -> tuple[str, str]:
        """Return the name of a village that is called after a family, while there are any."""
        if not self._hamlets:
            return self.place("村", "Village")
        name, name_en = self._hamlets.pop()
        return name + "村", f"{name_en} Village"
