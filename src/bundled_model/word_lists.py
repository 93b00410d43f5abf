"""Plain word tables of the training-data generator; data only."""
from __future__ import annotations

ONSET = ("b c d f g h j k l m n p r s t v w z b d g k l m n p r s t v br cl cr dr fl gr kr pl pr qu sh sk st th tr v z x y "
         "bl ch gl kn ph sp sw tw wh").split()
VOWEL = "a e i o u a e i o ai ea ee io ou au y oa ie ei".split()
CODA = ["", "", "", "", "", "", "", "", "", "", "n", "r", "s", "l", "m", "n", "r", "s", "l", "m", "t", "k", "x", "nd", "st", "rn", "ld", "ck", "ng", "sh", "nt", "rt", "p", "th"]
ENDING = ["", "", "", "", "", "a", "o", "ia", "er", "on", "us", "en"]

FIRST = """Ada Alan Alice Amara Anna Anton Bella Ben Bob Carla Carol Chen Clara Dana David Diego Ella Emil Emma Erik Eva Fatima
Felix Finn Frida George Grace Hana Hugo Ibrahim Ida Igor Ines Ivan Jack James Jane Jason John Jonas Julia Kai Karl Kate Lars Laura
Lena Leo Liam Lina Lisa Lucas Luis Maria Mark Marta Mary Maya Mia Mike Mina Nadia Nina Noah Nora Olga Oliver Omar Oscar Paul Pedro
Petra Peter Priya Quinn Rosa Ruth Sam Sara Sofia Stefan Steve Tara Theo Tim Tom Uma Vera Victor Wei Yara Yusuf Zara Zoe Aaron Abdul
Adam Agnes Ahmed Aisha Albert Alex Alfred Ali Amelia Amir Amy Andre Andrea Andrew Angela Anita Arthur Astrid Aya Barbara Beatrice
Benjamin Bernard Boris Brian Bruno Camila Carlos Caroline Cecilia Charles Charlotte Chloe Christian Claire Claudia Colin Cora Daniel
Daria Deborah Dennis Diana Dmitri Dominic Doris Dylan Edgar Edith Edward Elena Elias Elif Elisa Elizabeth Ellen Elsa Emily Enzo Eric
Esther Ethan Eugene Evelyn Fabian Filip Flora Francis Frank Fred Gabriel Gina Giulia Greta Gustav Hamid Hannah Harold Harry Hassan
Hector Heidi Helen Henry Hilda Hiro Ian Ingrid Irene Iris Isaac Isabel Jacob Jake Jakub Jana Janet Javier Jean Jenny Jesse Jin Joan
Joe Joel Jorge Jose Joseph Josephine Juan Judith Karim Karen Katya Keiko Kenji Kevin Khalid Kira Klara Lara Layla Lea Leila Leon
Leona Lewis Lily Linda Lorenzo Louis Lucia Lucy Luke Luna Magnus Malik Manuel Marco Margaret Marie Marina Mario Martha Martin Mateo
Matilda Max Mei Michael Miguel Mila Milan Mira Miriam Mohamed Monica Morgan Nathan Nicholas Nicole Niklas Nils Noor Otto Pablo Pamela
Patricia Patrick Pavel Philip Piotr Rachel Rafael Raj Ralph Ravi Rebecca Rene Ricardo Richard Rita Robert Robin Roger Roland Roman
Ronald Rosalind Ryan Sabine Salma Samuel Sandra Sebastian Selma Sergei Simon Sonia Stella Susan Sven Sylvia Tamara Tanya Teresa
Thomas Tobias Tomas Tony Ulrich Ursula Valentina Vanessa Viktor Vincent Viola Walter Wanda Wendy William Xavier Yuki Yusra Yvonne""".split()
LAST = """Smith Jones Brown Taylor Wilson Evans Walker White Green Hall Clark Lee Young King Wright Hill Baker Carter Cooper Ward
Turner Parker Cook Bell Bailey Morris Murphy Rogers Gray Hughes Price Foster Reed Ross Fisher Mason Hunt Stone Webb Cole Grant Ford
Lane West Burke Walsh Flynn Kelly Byrne Doyle Garcia Lopez Perez Sanchez Ramirez Torres Rivera Ortiz Silva Costa Santos Almeida Rossi
Ferrari Bianchi Romano Greco Conti Muller Schmidt Weber Wagner Becker Hoffmann Koch Richter Klein Wolf Braun Krause Lehmann Novak
Kovacs Horvath Nagy Kowalski Nowak Wojcik Popov Ivanov Petrov Volkov Sokolov Larsen Hansen Olsen Berg Lund Dahl Holm Lindberg Nilsson
Virtanen Korhonen Tanaka Suzuki Sato Ito Kimura Mori Wang Li Zhang Liu Chen Yang Huang Kim Park Choi Jung Nguyen Tran Pham Singh Kumar
Patel Sharma Gupta Khan Ahmed Hassan Ali Yilmaz Demir Kaya Okafor Mensah Diallo Mbeki Nkosi Adeyemi Dubois Moreau Laurent Girard
Fontaine Lefevre Mercier Blanc Janssen Vermeer Bakker Visser Jansen Peeters""".split()
CITY = """Paris London Berlin Rome Madrid Lisbon Vienna Prague Warsaw Oslo Stockholm Helsinki Dublin Athens Cairo Nairobi Lagos
Accra Tunis Delhi Mumbai Tokyo Osaka Kyoto Seoul Beijing Shanghai Hanoi Bangkok Jakarta Manila Sydney Perth Auckland Toronto Montreal
Boston Chicago Denver Austin Seattle Miami Lima Bogota Quito Santiago Havana Zurich Geneva Milan Turin Naples Porto Seville Munich
Hamburg Lyon Nice Ghent Krakow Riga Vilnius Tallinn Sofia Tbilisi Dallas Phoenix Houston Ottawa Dubai Doha Ankara Istanbul Amsterdam
Rotterdam Utrecht Brussels Antwerp Bruges Copenhagen Aarhus Bergen Trondheim Gothenburg Malmo Uppsala Turku Tampere Reykjavik Cork
Galway Belfast Edinburgh Glasgow Cardiff Bristol Leeds Liverpool Manchester Oxford Cambridge York Bath Marseille Toulouse Bordeaux
Nantes Lille Strasbourg Grenoble Cologne Frankfurt Stuttgart Dresden Leipzig Bremen Hanover Nuremberg Bonn Basel Bern Lucerne Salzburg
Graz Linz Innsbruck Florence Venice Bologna Verona Genoa Palermo Pisa Valencia Bilbao Granada Malaga Zaragoza Barcelona Braga Coimbra
Faro Gdansk Poznan Wroclaw Lodz Brno Ostrava Bratislava Budapest Debrecen Bucharest Cluj Zagreb Split Ljubljana Belgrade Sarajevo
Skopje Tirana Plovdiv Varna Kyiv Lviv Odesa Minsk Chisinau Yerevan Baku Almaty Tashkent Samarkand Kabul Karachi Lahore Islamabad Dhaka
Kolkata Chennai Bangalore Hyderabad Pune Jaipur Kathmandu Colombo Yangon Saigon Singapore Penang Bandung Cebu Taipei Guangzhou Shenzhen
Chengdu Wuhan Nanjing Busan Incheon Nagoya Sapporo Fukuoka Kobe Hiroshima Melbourne Brisbane Adelaide Canberra Hobart Darwin Wellington
Christchurch Casablanca Rabat Fez Algiers Tripoli Alexandria Khartoum Kampala Kigali Lusaka Harare Windhoek Gaborone Maputo Durban
Pretoria Johannesburg Dakar Bamako Abidjan Kumasi Ibadan Kano Luanda Kinshasa Dodoma Mombasa Zanzibar Amman Beirut Damascus Baghdad
Tehran Shiraz Riyadh Jeddah Muscat Kuwait Izmir Bursa Antalya Haifa Vancouver Calgary Edmonton Winnipeg Halifax Portland Sacramento
Oakland Tucson Omaha Memphis Nashville Atlanta Orlando Tampa Charlotte Baltimore Philadelphia Pittsburgh Cleveland Detroit Milwaukee
Minneapolis Cincinnati Columbus Indianapolis Albany Buffalo Honolulu Anchorage Guadalajara Monterrey Tijuana Cancun Puebla Managua
Caracas Medellin Cali Cusco Arequipa Valparaiso Cordoba Rosario Mendoza Montevideo Asuncion Brasilia Salvador Recife Fortaleza
Manaus Curitiba Santos""".split()
CITY2 = ["San Francisco", "New York", "Los Angeles", "Hong Kong", "Cape Town", "Buenos Aires", "Rio de Janeiro", "New Delhi", "Tel Aviv",
         "Kuala Lumpur", "Salt Lake City", "San Diego", "Las Vegas", "Mexico City", "Sao Paulo", "The Hague", "St Louis", "El Paso",
         "San Juan", "Santa Fe", "San Jose", "San Antonio", "Fort Worth", "Kansas City", "New Orleans", "Santa Cruz", "Long Beach",
         "Palm Springs", "Porto Alegre", "Belo Horizonte", "La Paz", "Santo Domingo", "Panama City", "Quebec City", "Novi Sad",
         "Banja Luka", "Addis Ababa", "Dar es Salaam", "Port Louis", "Port Said", "Abu Dhabi", "Phnom Penh", "Chiang Mai", "Da Nang",
         "Gold Coast", "Alice Springs", "St Petersburg", "Nizhny Novgorod", "San Sebastian", "Las Palmas", "Le Havre", "Le Mans",
         "Baden Baden", "Bad Ischl", "Newcastle upon Tyne", "Milton Keynes", "Washington DC", "Colorado Springs", "Baton Rouge",
         "Little Rock"]
COUNTRY = """France Germany Italy Spain Portugal Austria Poland Norway Sweden Finland Denmark Iceland Ireland Greece Egypt Kenya
Nigeria Ghana Tunisia India Japan China Vietnam Thailand Indonesia Australia Canada Mexico Peru Chile Colombia Ecuador Cuba
Switzerland Belgium Latvia Lithuania Estonia Bulgaria Romania Hungary Croatia Slovenia Serbia Albania Georgia Armenia Turkey Qatar Oman
Jordan Lebanon Morocco Algeria Senegal Mali Uganda Rwanda Zambia Namibia Botswana Angola Nepal Malaysia Singapore Mongolia Brazil
Argentina Uruguay Paraguay Bolivia Panama Jamaica Malta Cyprus Ukraine Moldova""".split()
NOUN = """weather price stock news time date map route user order ticket invoice report image file book movie song recipe team player
score country city population temperature humidity forecast rate currency balance account message email event meeting task note contact
product review rating hotel flight train station car bike parcel color size weight height length area volume distance speed status
version license owner author title genre language capital river mountain animal plant flower tree fruit metal planet star moon ship
bridge tower museum garden market office school library hospital farm factory engine battery sensor camera phone server cluster database
table index query key token document page chapter paragraph word sentence letter number secret code magic greeting joke fact quote story
lesson course exam grade degree salary budget cost tax discount coupon gift prize age name address zip street floor room door window
wall roof kitchen lamp chair desk shelf sofa carpet mirror clock watch ring necklace jacket coat shirt shoe boot hat scarf glove
belt bag wallet umbrella bottle cup plate bowl spoon fork knife pan pot oven fridge stove kettle toaster blender towel soap brush comb
pillow blanket curtain basket box crate barrel bucket rope ladder hammer nail screw drill saw wrench shovel rake hose pump pipe valve
wire cable switch plug socket fan heater cooler filter tank meter gauge scale ruler compass telescope microscope lens prism magnet
motor gear wheel tire brake pedal seat mirror trailer truck van bus tram ferry canoe boat sail anchor harbor lighthouse dock canal dam
lake pond island beach cave valley hill forest field meadow desert glacier volcano spring well mine quarry road path tunnel gate fence
yard park square fountain statue temple church castle palace fort theater cinema stadium gym pool arena cafe bakery shop store mall
bank court prison embassy airport runway hangar platform ticket passport visa luggage suitcase backpack tent stove lantern torch candle
match fire smoke cloud rain snow wind storm thunder fog ice frost sun shadow rainbow season month week day hour minute second century
year calendar schedule agenda plan project goal result test sample survey poll vote law rule contract deal offer bid auction sale
purchase refund receipt bill payment loan mortgage rent fee fine bonus wage profit loss debt share bond fund asset portfolio
insurance policy claim risk audit brand logo slogan poster banner flyer brochure magazine newspaper journal diary novel poem essay
article blog post comment thread forum channel video podcast episode series album track playlist concert festival opera ballet drama
painting drawing sketch sculpture photo portrait frame gallery exhibit artist band choir orchestra violin piano guitar drum flute
trumpet harp game puzzle toy doll kite ball bat racket net goal medal trophy league match race marathon tournament coach referee
patient nurse doctor clinic pharmacy pill vaccine dose symptom fever cough allergy diet meal breakfast lunch dinner snack dessert
menu kitchen chef waiter table reservation module package library function class method variable loop branch commit build release
bug patch feature issue log trace metric alert dashboard backup snapshot disk folder archive cache queue worker thread process port
router modem firewall password username profile avatar badge session cookie link button form field label icon theme font layout
printer scanner keyboard mouse monitor laptop tablet headset speaker microphone drone robot satellite rocket laser chip circuit""".split()
NOUN = list(dict.fromkeys(NOUN))
VERB = """get find search look fetch read show list show check count compute create make send delete update set add remove open close start
stop run call convert translate parse format load save print plan book buy sell order query retrieve calculate estimate measure compare
sort filter merge split copy move rename upload download import export schedule cancel confirm approve reject assign notify remind
publish post share invite join leave track monitor scan detect classify summarize analyze predict recommend validate verify resolve
lock unlock enable disable restart deploy build test review rate submit register subscribe pay refund transfer withdraw deposit quote
reserve rent lend return ship deliver pick pack weigh mix cook bake clean wash repair replace install configure reset sync archive
restore backup encrypt decrypt compress extract render draw paint play pause record mute turn rotate zoom crop resize tag label""".split()
VERB = list(dict.fromkeys(VERB))
FUNCW = "function tool lookup service helper action api info data value details summary report".split()
ADJ = """red blue green black white small large quick slow old new bright dark cold warm quiet loud soft hard round flat deep tall
short wide narrow clean fresh sweet sour bitter golden silver happy brave calm clever gentle kind proud silly ancient modern broken
busy cheap curious dusty dry early empty famous fancy fast fine foggy formal fragile friendly funny giant glossy grand great gray
heavy hidden hollow hot huge humble icy late lazy light little lonely long lost lovely lucky mellow mild misty muddy noisy noble odd
orange pale plain pink polite popular purple rare rich rough rusty sandy secret shallow sharp shiny silent simple smooth solid
spare spicy steep stiff strange striped strong sturdy sunny thick thin tidy tiny tough vast violet vivid weak wet wild windy
wise wooden woolen yellow young""".split()
COLOR = """red blue green black white yellow orange purple pink brown gray silver gold violet turquoise teal navy beige maroon cream
ivory crimson scarlet indigo lilac amber olive coral mint bronze copper magenta""".split()
JOB = """teacher doctor nurse farmer pilot baker painter writer singer lawyer engineer plumber chef driver sailor tailor dentist
judge miner potter tutor actor dancer editor banker barber carpenter electrician gardener librarian mechanic musician photographer
policeman postman scientist secretary soldier waiter architect accountant analyst astronomer athlete beekeeper biologist blacksmith
butcher cashier chemist cleaner clerk coach composer consultant dentist designer detective developer diplomat economist firefighter
fisherman florist geologist guard guide historian hunter interpreter jeweler journalist locksmith logger manager mathematician
midwife model optician paramedic pharmacist physicist poet programmer psychologist receptionist reporter salesman sculptor shepherd
surgeon surveyor translator vet watchmaker weaver welder zookeeper""".split()
JOB = list(dict.fromkeys(JOB))
LANGUAGE = """English French German Italian Spanish Portuguese Dutch Danish Swedish Norwegian Finnish Polish Czech Hungarian Greek
Turkish Arabic Hebrew Hindi Bengali Japanese Korean Chinese Vietnamese Thai Swahili Latin Russian Ukrainian Romanian Croatian Icelandic
Irish Welsh Basque Catalan Persian Urdu Tamil Malay""".split()
FOOD = """bread rice pasta pizza soup salad cheese butter milk yogurt eggs honey jam apples pears plums cherries grapes oranges lemons
bananas berries peaches melons tomatoes potatoes carrots onions peppers beans peas lentils corn mushrooms spinach cabbage broccoli
chicken beef pork lamb fish salmon tuna shrimp tofu noodles dumplings pancakes waffles cookies cake pie chocolate caramel ice-cream
coffee tea juice lemonade soda cider wine nuts almonds walnuts raisins dates olives garlic ginger curry sushi tacos burgers
sandwiches porridge muffins pretzels popcorn pumpkin radish sausages""".split()
ANIMAL = """dog cat horse cow pig sheep goat donkey rabbit mouse rat hamster fox wolf bear deer moose elk hare squirrel beaver otter
badger hedgehog bat lion tiger leopard cheetah elephant giraffe zebra hippo rhino camel llama monkey gorilla lemur panda koala
kangaroo penguin owl eagle hawk falcon crow raven robin sparrow swan duck goose hen turkey parrot pigeon stork heron flamingo snake
lizard turtle frog toad newt shark whale dolphin seal walrus octopus squid crab lobster salmon trout eel bee ant spider beetle moth
butterfly snail""".split()
ROOM = """kitchen bathroom bedroom hall cellar attic garage office library study nursery pantry workshop laundry balcony lobby
classroom basement studio garden shed greenhouse lounge corridor""".split()
PLANT = "rose tulip daisy lily oak pine maple birch willow fern ivy cactus orchid sunflower lavender basil mint thyme sage bamboo".split()
MATERIAL = """wood stone glass steel iron copper brass silver gold paper plastic rubber leather cotton wool silk linen clay concrete
bamboo marble granite bronze aluminum""".split()
SPORT = """football tennis basketball volleyball hockey cricket rugby golf swimming rowing sailing boxing judo karate fencing cycling
skiing skating surfing climbing running badminton baseball handball archery chess""".split()
INSTRUMENT = "violin piano guitar drums flute trumpet harp cello clarinet saxophone banjo organ accordion trombone oboe viola".split()
SUBJECT = """history biology chemistry physics mathematics geography music art philosophy economics law medicine statistics literature
astronomy geology psychology linguistics engineering architecture""".split()
DEPARTMENT = "sales marketing finance support engineering research legal shipping design security training purchasing production planning".split()
WEEKDAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTH = "January February March April May June July August September October November December".split()
ARG = """city location place query text input x y a b n value name id user_id amount date day topic country word key path url number
count limit symbol title email color size unit currency language item code category status priority start end start_date end_date
latitude longitude age phone address message subject recipient sender order_id product_id price quantity description tags sort_by page
offset format source target origin destination timezone model temperature width height duration level keyword author year month
first_name last_name company department""".split()
UNIT = "meters feet miles kilometers kilograms pounds grams liters gallons inches centimeters tons".split()
CURRENCY = "dollars euros pounds yen francs crowns".split()
COMPANY_TAIL = "Inc Ltd Labs Group Works Systems Foods Motors Energy Airlines Software Partners Logistics Media Bank Tools Press Studio".split()
DOMAIN = "com org net io eu example.com example.org".split()

SYSTEM = [
    "You are a helpful assistant.", "You are a helpful AI assistant.", "You are a friendly bot.", "Be brief.", "Answer the user.",
    "You are a helpful assistant. Be concise.", "You are an expert assistant.", "Answer in one sentence.", "You are a careful assistant.",
    "Keep your answers short.", "You are a polite assistant that answers questions.", "You are an AI assistant that helps people find information.",
    "Be helpful, honest and brief.", "You are a chat bot on a web site.", "You are a support agent.", "Think before you answer.",
    "You are a precise assistant. Give only the answer.", "You are a helpful assistant for a small company.", "Use plain language.",
    "You are a research assistant.", "You are an assistant that follows instructions exactly.", "You are a data assistant.",
    "Help the user with their task.", "You are a smart and friendly helper.", "Respond to the user as best you can.",
    "You are a tutor.", "You are a virtual assistant.", "Do not make things up.", "You are a knowledgeable assistant. Answer truthfully.",
    "You are a coding assistant.", "Always answer in English.", "You are a travel assistant.", "You are a kind assistant. Be polite.",
]
